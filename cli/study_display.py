"""A study as a table of its cells: redrawn in place, or a line per change."""

import contextlib
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hessdiag.errors import printable
from hessdiag.record.study_directory import CellStatus, StudyDirectory
from hessdiag.study.grid import Cell
from hessdiag.study.task import StudyObserver
from hessdiag.train.seed_run import Observer
from hessdiag.train.settings import probe_iterations

from .pace import Pace
from .words import duration

ROWS = 30  # of the live table at the most: the cells around the one that runs


class StudyDisplay(StudyObserver):
    """The quietest display of a study, and the base of the others."""

    screen: AbstractContextManager = contextlib.nullcontext()  # what is drawn on during the study

    def __init__(self, cells: Sequence[Cell]):
        self._cells = list(cells)

    def on_trouble(self, message: str) -> None:
        """Say it where errors are said."""
        print(f"hessdiag: {printable(message)}", file=sys.stderr, flush=True)


class PlainStudyDisplay(StudyDisplay):
    """A line per change of a cell."""

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """Print it."""
        number = self._cells.index(cell) + 1
        why = f": {status.message}" if status.message else ""
        line = f"[{number}/{len(self._cells)}] {cell.name} {status.state}{why}"
        print(printable(line), flush=True)


class LiveStudyDisplay(StudyDisplay):
    """The table of cells, redrawn in place."""

    def __init__(self, cells: Sequence[Cell], directory: StudyDirectory):
        super().__init__(cells)
        self._status = {cell.slug: directory.status(cell) for cell in cells}
        self._current = 0
        self._texts: dict[str, str] = {}
        self._began = time.monotonic()
        self._done_before = sum(s.state == "finished" for s in self._status.values())
        on_screen = sys.stderr.isatty()  # then above the table, instead of through it
        self.screen = self._live = Live(
            self.table(), console=Console(), refresh_per_second=4, redirect_stderr=on_screen
        )

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """Show its new state."""
        self._current = self._cells.index(cell)
        self._status[cell.slug] = status
        self._live.update(self.table())

    def observer_of(self, cell: Cell) -> Observer:
        """What shows the progress of a cell's run."""
        return _Progress(self, cell)

    def show(self, cell: Cell, text: str) -> None:
        """Show how far a cell's run is."""
        self._texts[cell.slug] = text
        self._live.update(self.table())

    def table(self) -> Table:
        """The cells around the one that runs."""
        first = max(0, min(self._current - ROWS // 2, len(self._cells) - ROWS))
        table = Table("cell", "state", "progress", title=self._title(), title_justify="left")
        for cell in self._cells[first : first + ROWS]:
            status = self._status[cell.slug]
            text = self._texts.get(cell.slug, "")
            more = text if status.state == "running" else status.message or ""
            progress = Text(printable(more), overflow="ellipsis", no_wrap=True)
            table.add_row(Text(printable(cell.name)), Text(printable(status.state)), progress)
        return table

    def _title(self) -> str:
        states = [status.state for status in self._status.values()]
        finished = states.count("finished")
        since = finished - self._done_before
        left = ""
        if since and finished < len(states):
            rate = (time.monotonic() - self._began) / since
            left = f", about {duration(rate * (len(states) - finished))} left"
        return f"{finished} of {len(states)} finished, {states.count('failed')} failed{left}"


class _Progress(Observer):
    """One run's progress as a line of text."""

    def __init__(self, display: LiveStudyDisplay, cell: Cell):
        self._display, self._cell = display, cell
        self.on_trouble = display.on_trouble
        self._pace = Pace(cell.settings.train.iterations, probe_iterations(cell.settings))

    def on_phase(self, phase: str, done: int, total: int) -> None:
        self._pace.note(phase, done)
        self._display.show(self._cell, f"{phase} {done}/{total} {self._pace.text()}")
