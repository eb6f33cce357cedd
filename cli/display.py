"""How a run is shown to people or programs, while its report is made beside it."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from hessdiag.analysis import findings
from hessdiag.errors import printable
from hessdiag.train.seed_run import Observer
from hessdiag.train.settings import Settings, probe_iterations

from .pace import PLAIN_SECONDS, Pace
from .words import iteration_text, probe_text, summary


class Aside:
    """Does `work` in a thread, once more after every request that came meanwhile."""

    def __init__(self, work: Callable[[], object]):
        self._work = work
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._last: Future | None = None

    def request(self) -> None:
        """Have the work done; a request that still waits sees what this one would."""
        last = self._last
        if last is None or last.running() or last.done():
            self._last = self._thread.submit(self._work)

    def wait(self) -> None:
        """Until all that was requested is done; no more is taken."""
        self._thread.shutdown(wait=True)

    def check(self) -> None:
        """Raise what the last work raised."""
        if self._last is not None:
            self._last.result()


class Display(Observer):
    """The quietest display, and the base of the others: nothing but the path of the report."""

    screen: AbstractContextManager = contextlib.nullcontext()  # what is drawn on during the run
    _aside: Aside | None = None

    @contextlib.contextmanager
    def shown(
        self, settings: Settings, path: Path, publish: Callable[[], object]
    ) -> Iterator[None]:
        """Around a run in `path`; `publish` is called aside, whenever the summary changed."""
        self._path, self._aside = path, Aside(publish)
        self._pace = Pace(settings.train.iterations, probe_iterations(settings))
        self._record: Mapping[str, Any] = {}
        self.opened(settings)
        try:
            with self.screen:
                yield
        finally:
            self._aside.wait()
        self._aside.check()
        self.finished()

    def on_trouble(self, message: str) -> None:
        """Say it where errors are said."""
        print(f"hessdiag: {printable(message)}", file=sys.stderr, flush=True)

    def on_summary(self) -> None:
        """Have the report made again."""
        if self._aside is not None:
            self._aside.request()

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        """Remember the latest numbers."""
        self._record = record

    def opened(self, settings: Settings) -> None:
        """The run is about to start."""

    def finished(self) -> None:
        """Print where the report is."""
        print(self._path / "report.html")


class _JsonDisplay(Display):
    """Every event as a line of JSON on standard output, for programs."""

    def opened(self, settings: Settings) -> None:
        self._emit("start", directory=str(self._path), env=settings.env, n=settings.n)

    def on_phase(self, phase: str, done: int, total: int) -> None:
        if phase != "training":
            self._emit("phase", phase=phase, done=done, total=total)

    def on_iteration(self, record: Mapping[str, Any]) -> None:
        self._emit("iteration", **record)

    def on_probe(self, record: Mapping[str, Any]) -> None:
        self._emit("probe", **record)

    def finished(self) -> None:
        results = json.loads((self._path / "summary.json").read_text())
        del results["record"], results["sha256"]
        self._emit("finish", report=str(self._path / "report.html"), summary=results)

    def _emit(self, event: str, **record: Any) -> None:
        print(json.dumps({"event": event, **record}), flush=True)


class _PlainDisplay(Display):
    """A line now and then, for logs and pipes."""

    def opened(self, settings: Settings) -> None:
        self._began, self._last_line = time.monotonic(), 0.0
        print(f"hessdiag: {settings.env}, n = {settings.n}, {settings.estimator}: {self._path}")

    def on_probe(self, record: Mapping[str, Any]) -> None:
        self._line(f"probe at iteration {record['iteration']}: {probe_text(record)}")

    def on_phase(self, phase: str, done: int, total: int) -> None:
        self._pace.note(phase, done)
        now = time.monotonic()
        if now - self._last_line >= PLAIN_SECONDS or phase == "compiling":
            self._last_line = now
            numbers = iteration_text(self._record) if self._record else ""
            self._line(f"{phase} {done}/{total} {self._pace.text()} {numbers}")

    def finished(self) -> None:
        print(summary(findings(self._path)))
        print(f"report: {self._path / 'report.html'}")

    def _line(self, text: str) -> None:
        line = f"[{time.monotonic() - self._began:6.0f} s] {text.rstrip()}"
        print(printable(line), flush=True)


class _LiveDisplay(Display):
    """Progress bars and the latest numbers, redrawn in place."""

    def __init__(self):
        self._console = Console()
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=self._console,
        )
        self.screen = self._live = Live(self._bars, console=self._console, refresh_per_second=4)
        self._probe: Mapping[str, Any] = {}

    def opened(self, settings: Settings) -> None:
        heading = f"{settings.env}, n = {settings.n}, {settings.estimator} → {self._path}"
        self._console.print(heading, markup=False)
        self._training = self._bars.add_task("training", total=settings.train.iterations, pace="")
        self._phase = self._bars.add_task("compiling", total=None, pace="")

    def on_phase(self, phase: str, done: int, total: int) -> None:
        self._pace.note(phase, done)
        self._bars.update(self._training, pace=self._pace.text())
        if phase == "training":
            self._bars.update(self._training, completed=done)
            self._bars.update(self._phase, visible=False)
        else:
            self._bars.update(
                self._phase, description=phase, completed=done, total=total, visible=True
            )
        page = Table.grid()
        page.add_row(self._bars)
        if self._record:
            page.add_row(Text(iteration_text(self._record)))
        if self._probe:
            iteration = self._probe["iteration"]
            page.add_row(Text(f"last probe ({iteration}): {probe_text(self._probe)}"))
        self._live.update(page)

    def on_probe(self, record: Mapping[str, Any]) -> None:
        self._probe = record

    def finished(self) -> None:
        for text in (summary(findings(self._path)), f"report: {self._path / 'report.html'}"):
            self._console.print(text, soft_wrap=True, markup=False)


def make_display(*, quiet: bool, as_json: bool) -> Display:
    """The display that fits the flags and where standard output goes."""
    if as_json:
        return _JsonDisplay()
    if quiet:
        return Display()
    return _LiveDisplay() if sys.stdout.isatty() else _PlainDisplay()
