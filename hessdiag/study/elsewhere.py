"""Tasks of a study in other processes: sent, watched, stopped, and sent again if one is lost.

All that a task needs and leaves is in the study's directory, which every worker has to see under
the same path. A task whose worker is lost goes on elsewhere from the last checkpoints.
"""

import contextlib
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from hessdiag.record.documents import last_record
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.task import Statuses, StudyObserver, Task
from hessdiag.train.interrupt import Failure, Interrupted, StopRequest, told
from hessdiag.train.seed_run import Observer
from hessdiag.train.self_test import set_up_compilation

MOST_LOSSES = 20  # workers that may be lost under one task before its cells count as failed
SECONDS_APART = 1.0  # between two looks at what workers do, and at whether they are to stop
_STOP = ".stop"  # in the study's directory: workers save and end
Publish = Callable[[Path], object]


class End(NamedTuple):
    """How a task ended: with its statuses, or by a failure; or else its worker was lost."""

    statuses: Statuses | None = None
    failure: Failure | None = None


class Elsewhere(ABC):
    """An executor on workers, which differ in how tasks are sent and heard of.

    Args:
        publish: makes the report of a cell's run, on its worker; can be pickled.
    """

    def __init__(self, publish: Publish):
        self._publish = publish
        self._losses: Counter[str] = Counter()  # of workers, by a task's first cell
        self._next_look = 0.0  # by the monotonic clock
        self._heard: dict[str, Observer] = {}  # of cells that run, by slug

    @abstractmethod
    def _send(self, task: Task) -> None:
        """Have a worker run it, when one is free."""

    @abstractmethod
    def _ended(self) -> list[tuple[Task, End]]:
        """What has ended since the last call, which is waited for a moment."""

    @abstractmethod
    def _running(self) -> list[Task]:
        """The tasks that workers have, not those that wait for one."""

    def __call__(
        self, tasks: Iterable[Task], observer: StudyObserver, stop: StopRequest
    ) -> Iterator[tuple[Task, Statuses]]:
        """Run every task; raises `Interrupted` when all have saved what they did."""
        waiting = list(tasks)
        if waiting:
            stop_file = _stop_file(waiting[0])  # all are of one study
            stop_file.unlink(missing_ok=True)  # of one that was killed
            for task in waiting:
                self._send(task)
            yield from self._ends(len(waiting), observer, stop, stop_file)
            stop_file.unlink(missing_ok=True)
        stop.check()

    def _ends(
        self, left: int, observer: StudyObserver, stop: StopRequest, stop_file: Path
    ) -> Iterator[tuple[Task, Statuses]]:
        """Every task with where its cells stand when it has ended; asked to stop, they soon do."""
        while left:
            for task, end in self._ended():
                if self._is_to_be_sent_again(task, end):
                    self._send(task)
                else:
                    left -= 1
                    yield task, end.statuses or _failed(task, end.failure or self._lost(task))
            self._look(observer)
            if stop.is_made():
                stop_file.write_text(str(stop.signal_number))

    def _is_to_be_sent_again(self, task: Task, end: End) -> bool:
        """Whether its worker was lost, and not too often."""
        if end.statuses is not None or end.failure is not None:
            return False
        self._losses[task.cells[0].slug] += 1
        return self._losses[task.cells[0].slug] < MOST_LOSSES

    def _lost(self, task: Task) -> Failure:
        said = f"{self._losses[task.cells[0].slug]} workers were lost, one after the other"
        return Failure(said, said)

    def _look(self, observer: StudyObserver) -> None:
        """Tell how far cells are, in a tenth of the time at the most."""
        began = time.monotonic()
        if began >= self._next_look:
            for task in self._running():
                self._tell(task, observer)
            self._next_look = began + max(SECONDS_APART, 10.0 * (time.monotonic() - began))

    def _tell(self, task: Task, observer: StudyObserver) -> None:
        """How far its cells are, as their run directories say."""
        study = StudyDirectory(task.directory)
        for cell in task.cells:
            status = study.status(cell)
            if status.state != "running":
                continue
            if cell.slug not in self._heard:
                self._heard[cell.slug] = observer.observer_of(cell)
                observer.on_cell(cell, status)
            done = last_record(study.run_path(cell) / "metrics.jsonl").get("iteration", -1) + 1
            total = cell.settings.train.iterations
            self._heard[cell.slug].on_phase("training", done, total)


class _StopFile(StopRequest):
    """A request that the calling process makes by a file, for it may be on another machine."""

    def __init__(self, path: Path):
        super().__init__()
        self._path, self._looked = path, 0.0

    def is_made(self) -> bool:
        """Whether the file is there; looks once in a while."""
        if time.monotonic() - self._looked >= SECONDS_APART:
            self._looked = time.monotonic()
            with contextlib.suppress(FileNotFoundError):
                self.signal_number = int(self._path.read_text() or self.SIGNALS[0])
        return super().is_made()


def on_worker(task: Task, publish: Publish) -> Statuses:
    """A task to its end, or to where it was stopped, and the reports of what it began.

    One that had not begun does not begin.
    """
    stop, study = _StopFile(_stop_file(task)), StudyDirectory(task.directory)
    with contextlib.suppress(Interrupted):
        stop.check()
        set_up_compilation()
        task(stop=stop)
    for cell in filter(study.lacks_report, task.cells):
        with told(lambda _: None):  # the study makes those that are missing, and says so
            publish(study.run_path(cell))
    return _states(task)


def _failed(task: Task, failure: Failure) -> Statuses:
    """Where its cells stand: what had not finished has failed."""
    study = StudyDirectory(task.directory)
    for cell in task.cells:
        if study.status(cell).state != "finished":
            study.record_failure(cell, *failure)
    return _states(task)


def _states(task: Task) -> Statuses:
    """Where its cells stand, by slug."""
    study = StudyDirectory(task.directory)
    return {cell.slug: study.status(cell) for cell in task.cells}


def _stop_file(task: Task) -> Path:
    return task.directory / _STOP
