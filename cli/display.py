"""What a run shows while it runs: a live display, plain lines, JSON lines, or nothing."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from hessdiag.train.observer import Observer
from hessdiag.train.settings import Settings, probe_iterations

from .pace import Pace
from .summary_table import summary_table
from .words import hyper_text, probe_text, returns_text

PLAIN_SECONDS = 15.0  # between two lines of progress when not on a terminal


def make_display(*, quiet: bool, as_json: bool) -> "Display":
    """The display that fits the flags and where standard output goes."""
    if as_json:
        return JsonDisplay()
    if quiet:
        return QuietDisplay()
    return LiveDisplay() if sys.stdout.isatty() else PlainDisplay()


class Display(Observer):
    """An observer that people or programs watch; it also publishes the report.

    Attributes:
        publish: makes the report; called whenever the summary changed.
    """

    def __init__(self):
        self.publish: Callable[[], Path] = Path
        self._path = Path()

    def on_summary(self) -> None:
        """Make the report again."""
        self.publish()

    @contextlib.contextmanager
    def shown(self, settings: Settings, path: Path) -> Iterator[None]:
        """Around a run: open before it, close after it, the results at the end."""
        self._path = path
        self.opened(settings)
        yield
        self.finished()

    def opened(self, settings: Settings) -> None:
        """The run is about to start."""

    def finished(self) -> None:
        """The run came to its end."""


class QuietDisplay(Display):
    """Nothing but the path of the report."""

    def finished(self) -> None:
        """Print where the report is."""
        print(self._path / "report.html")


class JsonDisplay(Display):
    """Every event as a line of JSON on standard output."""

    def opened(self, settings: Settings) -> None:
        """Tell which run this is."""
        self._emit("start", directory=str(self._path), env=settings.env, n=settings.n)

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Tell a phase's progress; iterations have their own event."""
        if phase != "training":
            self._emit("phase", phase=phase, done=done, total=total)

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Tell an iteration's record."""
        self._emit("iteration", **record)

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """Tell a probe's headline."""
        self._emit("probe", **record)

    def finished(self) -> None:
        """Tell the summary and where the report is."""
        summary = json.loads((self._path / "summary.json").read_text())
        self._emit("finish", report=str(self._path / "report.html"), summary=summary)

    def _emit(self, event: str, **record: Any) -> None:
        print(json.dumps({"event": event, **record}), flush=True)


class PlainDisplay(Display):
    """A line now and then, for logs."""

    def __init__(self):
        super().__init__()
        self._began = time.monotonic()
        self._last_line = 0.0
        self._record: Mapping[str, Any] = {}

    def opened(self, settings: Settings) -> None:
        """Tell which run this is."""
        self._pace = Pace(settings.train.iterations, probe_iterations(settings))
        print(f"hessdiag: {settings.env}, n = {settings.n}, {settings.estimator}: {self._path}")

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Remember the latest numbers."""
        self._record = record

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """A line for every probe."""
        self._line(f"probe at iteration {record['iteration']}: {probe_text(record)}")

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """A line when there has been none for a while."""
        self._pace.note(phase, done, total)
        now = time.monotonic()
        if now - self._last_line >= PLAIN_SECONDS or phase == "compiling":
            self._last_line = now
            self._line(f"{phase} {done}/{total} {self._pace.text()} {self._numbers()}")

    def finished(self) -> None:
        """The table of probes and where the report is."""
        console = Console(width=110)
        console.print(summary_table(self._path))
        print(f"report: {self._path / 'report.html'}")

    def _numbers(self) -> str:
        if not self._record:
            return ""
        return f"{returns_text(self._record)} {hyper_text(self._record)}"

    def _line(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:6.0f} s] {text.rstrip()}", flush=True)


class LiveDisplay(Display):
    """Progress bars and the latest numbers, redrawn in place."""

    def __init__(self):
        super().__init__()
        self._console = Console()
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=self._console,
        )
        self._training = self._bars.add_task("training", total=None, pace="")
        self._phase = self._bars.add_task("compiling", total=None, pace="")
        self._record: Mapping[str, Any] = {}
        self._probe: Mapping[str, Any] = {}

    @contextlib.contextmanager
    def shown(self, settings: Settings, path: Path) -> Iterator[None]:
        """Redraw while the run is on; leave the table of probes behind."""
        self._path = path
        self._console.print(f"{settings.env}, n = {settings.n}, {settings.estimator} → {path}")
        self._bars.update(self._training, total=settings.train.iterations)
        self._pace = Pace(settings.train.iterations, probe_iterations(settings))
        with Live(self._bars, console=self._console, refresh_per_second=4) as live:
            self._live = live
            yield
        self._console.print(summary_table(path))
        self._console.print(f"report: {path / 'report.html'}", soft_wrap=True)

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Move the bars."""
        self._pace.note(phase, done, total)
        self._bars.update(self._training, pace=self._pace.text())
        if phase == "training":
            self._bars.update(self._training, completed=done)
            self._bars.update(self._phase, visible=False)
        else:
            self._bars.update(
                self._phase, description=phase, completed=done, total=total, visible=True
            )
        self._redraw()

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Remember the latest numbers."""
        self._record = record

    def on_probe(self, record: Mapping[str, Any]) -> None:
        """Remember the latest probe."""
        self._probe = record

    def _redraw(self) -> None:
        page = Table.grid()
        page.add_row(self._bars)
        if self._record:
            page.add_row(Text(f"{returns_text(self._record)} {hyper_text(self._record)}"))
        if self._probe:
            at = self._probe["iteration"]
            page.add_row(Text(f"last probe ({at}): {probe_text(self._probe)}"))
        self._live.update(page)
