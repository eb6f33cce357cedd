"""A run as progress bars and its latest numbers, redrawn in place."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from hessdiag.analysis import findings
from hessdiag.train.settings import Settings, probe_iterations

from .display import Display
from .pace import Pace
from .summary import summary
from .words import hyper_text, probe_text, returns_text


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
        """Redraw while the run is on; leave what was found behind."""
        self._path = path
        heading = f"{settings.env}, n = {settings.n}, {settings.estimator} → {path}"
        self._console.print(heading, markup=False)
        self._bars.update(self._training, total=settings.train.iterations)
        self._pace = Pace(settings.train.iterations, probe_iterations(settings))
        with Live(self._bars, console=self._console, refresh_per_second=4) as live:
            self._live = live
            yield
        self._console.print(summary(findings(path)), soft_wrap=True, markup=False)
        self._console.print(f"report: {path / 'report.html'}", soft_wrap=True, markup=False)

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Move the bars."""
        self._pace.note(phase, done)
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
