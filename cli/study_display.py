"""A study as a table of its cells: redrawn in place, or a line per change."""

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hessdiag.study import Cell, CellStatus, Estimate, StudyDirectory, StudyObserver
from hessdiag.train.observer import Observer
from hessdiag.train.settings import probe_iterations

from .pace import Pace
from .words import duration

PIPED = 160  # columns, where no terminal says
ROWS = 30  # of the live table at the most: the cells around the one that runs


class StudyDisplay(StudyObserver):
    """What the displays have in common."""

    def on_trouble(self, message: str) -> None:
        """Say it where errors are said."""
        print(f"hessdiag: {message}", file=sys.stderr, flush=True)


class PlainStudyDisplay(StudyDisplay):
    """A line per change of a cell."""

    def __init__(self, cells: Sequence[Cell], *, quiet: bool):
        self._cells = list(cells)
        self._quiet = quiet

    def __enter__(self) -> "PlainStudyDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """Print it."""
        if not self._quiet:
            number = self._cells.index(cell) + 1
            why = f": {status.message}" if status.message else ""
            print(f"[{number}/{len(self._cells)}] {cell.name} {status.state}{why}", flush=True)


class LiveStudyDisplay(StudyDisplay):
    """The table of cells, redrawn in place."""

    def __init__(self, directory: StudyDirectory, cells: Sequence[Cell]):
        self._cells = list(cells)
        self._status = {cell.slug: directory.status(cell) for cell in cells}
        self._current = 0
        self._texts: dict[str, str] = {}
        self._began = time.monotonic()
        self._done_before = sum(s.state == "finished" for s in self._status.values())
        on_screen = sys.stderr.isatty()  # then above the table, instead of through it
        self._live = Live(console=Console(), refresh_per_second=4, redirect_stderr=on_screen)

    def __enter__(self) -> "LiveStudyDisplay":
        self._live.__enter__()
        self._redraw()
        return self

    def __exit__(self, *problem) -> None:
        self._live.__exit__(*problem)

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """Show its new state."""
        self._current = self._cells.index(cell)
        self._status[cell.slug] = status
        self._redraw()

    def observer_of(self, cell: Cell) -> Observer:
        """What shows the progress of a cell's run."""
        return _Progress(cell, lambda text: self._progress(cell, text))

    def _progress(self, cell: Cell, text: str) -> None:
        self._texts[cell.slug] = text
        self._redraw()

    def _redraw(self) -> None:
        self._live.update(self.table())

    def table(self) -> Table:
        """The cells around the one that runs."""
        first = max(0, min(self._current - ROWS // 2, len(self._cells) - ROWS))
        table = Table(title=self._title(), title_justify="left")
        for heading in ("cell", "state", "progress"):
            table.add_column(heading)
        for cell in self._cells[first : first + ROWS]:
            status = self._status[cell.slug]
            text = self._texts.get(cell.slug, "")
            more = text if status.state == "running" else status.message or ""
            table.add_row(cell.name, status.state, Text(more, overflow="ellipsis", no_wrap=True))
        return table

    def _title(self) -> str:
        states = [status.state for status in self._status.values()]
        finished = states.count("finished")
        made = finished - self._done_before
        left = ""
        if made and finished < len(states):
            rate = (time.monotonic() - self._began) / made
            left = f", about {duration(rate * (len(states) - finished))} left"
        return f"{finished} of {len(states)} finished, {states.count('failed')} failed{left}"


class _Progress(Observer):
    """One run's progress as a line of text."""

    def __init__(self, cell: Cell, show):
        iterations = cell.settings.train.iterations
        self._pace = Pace(iterations, probe_iterations(cell.settings))
        self._show = show

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Show it."""
        self._pace.note(phase, done)
        self._show(f"{phase} {done}/{total} {self._pace.text()}")


class Plan(NamedTuple):
    """Cells that train together, and what they are expected to take."""

    cells: Sequence[Cell]
    estimate: Estimate
    is_compiled: bool  # by cells before them


def plan_table(plans: Sequence[Plan]) -> None:
    """Print the cells with what each is expected to take."""
    number = sum(len(plan.cells) for plan in plans)
    table = Table(title=f"{number} cells", title_justify="left")
    for heading in ("cell", "iterations", "probes", "compile", "training", "probes take", "memory"):
        name = heading == "cell"
        table.add_column(heading, justify="left" if name else "right", no_wrap=name)
    total = 0.0
    for cells, estimate, is_compiled in plans:
        total += 0.0 if is_compiled else estimate.compile_seconds
        total += estimate.training_seconds + len(cells) * estimate.probe_seconds
        for cell in cells:
            first = cell is cells[0]
            compiles = first and not is_compiled
            table.add_row(
                cell.name or "run",
                f"{cell.settings.train.iterations:,}",
                str(len(probe_iterations(cell.settings))),
                duration(estimate.compile_seconds) if compiles else "cached",
                duration(estimate.training_seconds) if first else "together",
                duration(estimate.probe_seconds),
                f"{estimate.memory_bytes / 2**20:,.0f} MiB" if first else "together",
            )
    console = Console(width=None if sys.stdout.isatty() else PIPED)
    console.print(table)
    console.print(
        f"about {duration(total)} on this machine, from a short calibration: spectra are counted "
        "as if none converged early, and the compilation of their programs is not"
    )
