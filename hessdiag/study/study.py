"""Running the cells of a study: the seeds of one configuration together, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hessdiag.errors import NotFiniteError, UsageError
from hessdiag.study.grid import Cell
from hessdiag.study.study_directory import CellStatus, StudyDirectory
from hessdiag.train.interrupt import StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.observer import Observer
from hessdiag.train.run import Run
from hessdiag.train.seed_run import SeedRun

TOGETHER = 8


class StudyObserver:
    """Hears of every cell; this one ignores them all."""

    def on_cell(self, cell: Cell, status: CellStatus) -> None:
        """A cell changed its state."""

    def observer_of(self, cell: Cell) -> Observer:
        """Who watches the run of a cell."""
        del cell
        return Observer()


class Study:
    """One study, new or resumed, to be driven to its end.

    Args:
        directory: where it is kept.
        cells: what it runs.
        command: the command line, for the provenance of every run.
        observer: hears of every cell.
        stop: asked at every safe point.
        publish: makes the report of a cell's run.
        conclude: makes that of the study, from the cells that have begun.
        together: seeds that train as one program at the most; bounds memory.
    """

    def __init__(
        self,
        directory: StudyDirectory,
        cells: list[Cell],
        *,
        command: str,
        observer: StudyObserver,
        stop: StopRequest,
        publish: Callable[[Path], object],
        conclude: Callable[[], object] = lambda: None,
        together: int = TOGETHER,
    ):
        self._directory = directory
        self._cells = cells
        self._command = command
        self._observer = observer
        self._stop = stop
        self._publish = publish
        self._conclude = conclude
        self._together = together

    def go(self) -> int:
        """Run every cell that is not finished; returns how many failed.

        A cell that failed before is tried once more. One that fails does not stop the rest.

        Raises:
            Interrupted: a stop was requested; everything is saved.
        """
        self._conclude()
        for cells in self._groups():
            waiting = []
            for cell in cells:
                status = self._directory.status(cell)
                if status.state == "finished":
                    self._observer.on_cell(cell, status)
                else:
                    waiting.append(cell)
            if waiting:
                self._run(waiting)
        return sum(self._directory.status(cell).state == "failed" for cell in self._cells)

    def _groups(self) -> Iterator[Sequence[Cell]]:
        """Cells that differ by their seed alone."""
        by_configuration: dict[tuple, list[Cell]] = {}
        for cell in self._cells:
            key = tuple((name, str(value)) for name, value in cell.configuration)
            by_configuration.setdefault(key, []).append(cell)
        for cells in by_configuration.values():
            for first in range(0, len(cells), self._together):
                yield cells[first : first + self._together]

    def _run(self, cells: Sequence[Cell]) -> None:
        runs = {}
        for cell in cells:
            before = self._directory.status(cell)
            self._directory.forget_failure(cell)
            self._observer.on_cell(cell, CellStatus("running", before.iteration))
            with self._recorded([cell]):
                runs[cell.slug] = self._open(cell)
        ready = [cell for cell in cells if cell.slug in runs]
        if ready:
            with self._recorded(ready):
                Run(list(runs.values()), stop=self._stop).go()
        for cell in cells:
            if cell.slug in runs:
                self._publish(self._directory.run_path(cell))
            self._observer.on_cell(cell, self._directory.status(cell))
        self._conclude()

    def _open(self, cell: Cell) -> SeedRun:
        path = self._directory.run_path(cell)
        if path.exists():
            settings, directory = reopen(path)
        else:
            settings = cell.settings
            directory = start(settings, path, command=self._command)
        return SeedRun(settings, directory, self._observer.observer_of(cell))

    @contextmanager
    def _recorded(self, cells: Sequence[Cell]) -> Iterator[None]:
        """Errors become the failure of every cell that is not finished; the rest goes on."""
        try:
            yield
        except NotFiniteError:
            pass  # their run directories say so
        except (UsageError, ArithmeticError, OSError, RuntimeError, ValueError) as error:
            for cell in cells:
                if self._directory.status(cell).state not in ("finished", "failed"):
                    self._directory.record_failure(cell, " ".join(str(error).split()))
