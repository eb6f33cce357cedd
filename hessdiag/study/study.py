"""Running a study: tasks for what is not finished, an executor that runs them, reports of both."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.executors import Executor, local
from hessdiag.study.grid import Cell
from hessdiag.study.groups import TOGETHER, groups
from hessdiag.study.observer import StudyObserver
from hessdiag.study.reports import Reports
from hessdiag.study.task import Task
from hessdiag.train.interrupt import Interrupted, StopRequest


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
        executor: runs the tasks.
    """

    def __init__(
        self,
        directory: StudyDirectory,
        cells: Sequence[Cell],
        *,
        command: str,
        observer: StudyObserver,
        stop: StopRequest,
        publish: Callable[[Path], object],
        conclude: Callable[[], object] = lambda: None,
        together: int = TOGETHER,
        executor: Executor = local,
    ):
        self._directory = directory
        self._cells = cells
        self._command = command
        self._observer = observer
        self._stop = stop
        self._reports = Reports(publish, conclude, observer.on_trouble)
        self._together = together
        self._executor = executor

    @property
    def missing_reports(self) -> int:
        """How many reports could not be made."""
        return len(self._reports.missing)

    def go(self) -> int:
        """Run every cell that is not finished; returns how many failed.

        A cell that failed before is tried once more. One that fails does not stop the rest, nor
        does a report that cannot be made.

        Raises:
            Interrupted: a stop was requested; everything is saved.
        """
        self._reports.of_study(at_once=True)
        try:
            for task, statuses in self._executor(self._tasks(), self._observer, self._stop):
                for cell in task.cells:
                    if (self._directory.run_path(cell) / "config.json").is_file():
                        self._publish(cell)
                    self._observer.on_cell(cell, statuses[cell.slug])
                self._reports.of_study(at_once=False)
        except Interrupted:
            self._reports.of_study(at_once=True)
            raise
        self._reports.of_study(at_once=True)
        return sum(self._directory.status(cell).state == "failed" for cell in self._cells)

    def _tasks(self) -> Iterator[Task]:
        """What is left to do, configuration by configuration."""
        for cells in groups(self._cells, self._together):
            self._stop.check()
            waiting = tuple(cell for cell in cells if not self._was_finished(cell))
            if waiting:
                self._reports.note()
                yield Task(self._directory.path, waiting, self._command)

    def _was_finished(self, cell: Cell) -> bool:
        """Whether nothing is left to do; a kill may have left the report to be made."""
        status = self._directory.status(cell)
        if status.state != "finished":
            return False
        if not self._directory.is_reported(cell):
            self._publish(cell)
        self._observer.on_cell(cell, status)
        return True

    def _publish(self, cell: Cell) -> None:
        self._reports.of_cell(cell.name or "the run", self._directory.run_path(cell))
