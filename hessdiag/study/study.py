"""Running the cells of a study, one after the other."""

from collections.abc import Callable
from pathlib import Path

from hessdiag.errors import UsageError
from hessdiag.study.grid import Cell
from hessdiag.study.study_directory import CellStatus, StudyDirectory
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.observer import Observer
from hessdiag.train.run import Run

GO_ON = ("running", "interrupted")  # a killed run still says that it is running


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
    ):
        self._directory = directory
        self._cells = cells
        self._command = command
        self._observer = observer
        self._stop = stop
        self._publish = publish

    def go(self) -> int:
        """Run every cell that is not finished; returns how many failed.

        A cell that failed before is tried once more. One that fails does not stop the rest.

        Raises:
            Interrupted: a stop was requested; everything is saved.
        """
        failed = 0
        for cell in self._cells:
            status = self._directory.status(cell)
            if status.state != "finished":
                status = self._run(cell, status)
            self._observer.on_cell(cell, status)
            failed += status.state == "failed"
        return failed

    def _run(self, cell: Cell, before: CellStatus) -> CellStatus:
        path = self._directory.run_path(cell)
        self._directory.forget_failure(cell)
        self._observer.on_cell(cell, CellStatus("running", before.iteration))
        try:
            if path.exists():
                settings, directory = reopen(path)
            else:
                settings, directory = (
                    cell.settings,
                    start(cell.settings, path, command=self._command),
                )
            Run(
                settings, directory, observer=self._observer.observer_of(cell), stop=self._stop
            ).go()
            self._publish(path)
        except Interrupted:
            raise
        except (UsageError, ArithmeticError, OSError, RuntimeError, ValueError) as error:
            self._directory.record_failure(cell, " ".join(str(error).split()))
        return self._directory.status(cell)
