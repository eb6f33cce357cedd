"""Running a study: tasks for what is not finished, an executor that runs them, reports of both."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from hessdiag.record.lock import locked
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import TOGETHER, Cell, groups
from hessdiag.study.reports import Reports
from hessdiag.study.task import Statuses, StudyObserver, Task
from hessdiag.train.interrupt import Interrupted, StopRequest

Executor = Callable[[Iterable[Task], StudyObserver, StopRequest], Iterator[tuple[Task, Statuses]]]
"""Runs tasks in any order, anywhere that sees the study's directory; gives each when it has ended.

The observer and the stop request are of the calling process; what runs tasks elsewhere tells of
them what it can.
"""


def local(
    tasks: Iterable[Task], observer: StudyObserver, stop: StopRequest
) -> Iterator[tuple[Task, Statuses]]:
    """Run every task in this process, when it is asked for; `Interrupted` gets through."""
    for task in tasks:
        yield task, task(observer, stop)


@dataclass
class Study:
    """One study, new or resumed, to be driven to its end."""

    directory: StudyDirectory
    cells: Sequence[Cell]
    _: KW_ONLY
    command: str  # the command line, for the provenance of every run
    observer: StudyObserver
    stop: StopRequest  # asked at every safe point
    publish: Callable[[Path], object]  # makes the report of a cell's run
    conclude: Callable[[], object] = lambda: None  # that of the study, from cells that have begun
    together: int = TOGETHER  # seeds that train as one program at the most; bounds memory
    executor: Executor = local
    devices: int | None = None  # that share the work of a task; None: all there are

    def __post_init__(self):
        self._reports = Reports(self.publish, self.conclude, self.observer.on_trouble)

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
        with locked(self.directory.path):
            return self._go()

    def _go(self) -> int:
        self._reports.of_study(at_once=True)
        try:
            for task, statuses in self.executor(self._tasks(), self.observer, self.stop):
                for cell in task.cells:
                    if self.directory.lacks_report(cell):  # executors make reports, too
                        self._publish(cell)
                    self.observer.on_cell(cell, statuses[cell.slug])
                self._reports.of_study(at_once=False)
        except Interrupted:
            self._reports.of_study(at_once=True)
            raise
        self._reports.of_study(at_once=True)
        return sum(self.directory.status(cell).state == "failed" for cell in self.cells)

    def _tasks(self) -> Iterator[Task]:
        """What is left to do, configuration by configuration."""
        for cells in groups(self.cells, self.together):
            self.stop.check()
            waiting = tuple(cell for cell in cells if not self._was_finished(cell))
            if waiting:
                self._reports.note()
                yield Task(self.directory.path, waiting, self.command, self.devices)

    def _was_finished(self, cell: Cell) -> bool:
        """Whether nothing is left to do; a kill may have left the report to be made."""
        status = self.directory.status(cell)
        if status.state != "finished":
            return False
        if not self.directory.is_reported(cell):
            self._publish(cell)
        self.observer.on_cell(cell, status)
        return True

    def _publish(self, cell: Cell) -> None:
        self._reports.of_cell(cell.name or "the run", self.directory.run_path(cell))
