"""Tasks of a study on Dask workers: processes of a local cluster, or whatever a scheduler has.

All that a task needs and leaves is in the study's directory, which every worker has to see under
the same path. A worker that is lost is replaced by its nanny; its task is sent again, and goes on
from the last checkpoints.
"""

import contextlib
import importlib
import importlib.util
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.record.documents import last_record
from hessdiag.record.lock import is_held
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.task import Statuses, StudyObserver, Task
from hessdiag.train.interrupt import Failure, Interrupted, StopRequest, told
from hessdiag.train.seed_run import Observer
from hessdiag.train.self_test import set_up_compilation

MOST_LOSSES = 20  # workers that may be lost under one task before its cells count as failed
SECONDS_APART = 1.0  # between two looks at what workers do, and at whether they are to stop
_CONNECT_SECONDS = 20
_RELEASE_SECONDS = 60
Publish = Callable[[Path], object]
_SETTINGS = {  # of a cluster of our own; workers read the environment that they are given
    "distributed.scheduler.allowed-failures": 0,  # under a task, which is sent again from here
    "distributed.logging.distributed": "critical",
}
_STOP = ".stop"  # in the study's directory: workers save and end


class _StopFile(StopRequest):
    """A request that the calling process makes by a file, for it may be on another machine."""

    def __init__(self, path: Path):
        super().__init__()
        self._path, self._looked = path, 0.0

    def check(self) -> None:
        """Raise `Interrupted` where the file is there; looks once in a while."""
        if time.monotonic() - self._looked >= SECONDS_APART:
            self._looked = time.monotonic()
            with contextlib.suppress(FileNotFoundError):
                self.signal_number = int(self._path.read_text() or self.SIGNALS[0])
        super().check()


def _on_worker(task: Task, publish: Publish) -> Statuses:
    """A task to its end, or to where it was stopped, and the reports of what it finished.

    One that had not begun does not begin.
    """
    stop = _StopFile(_stop_file(task))
    with contextlib.suppress(Interrupted):
        stop.check()
        set_up_compilation()
        _await_release(task)
        statuses = task(stop=stop)
        study = StudyDirectory(task.directory)
        for cell in task.cells:
            if statuses[cell.slug].state == "finished":
                with told(lambda _: None):  # the study makes those that are missing, and says so
                    publish(study.run_path(cell))
    return _states(task)


def _await_release(task: Task) -> None:
    """Wait for a worker that was lost with the task: until it is gone it may hold directories."""
    study, until = StudyDirectory(task.directory), time.monotonic() + _RELEASE_SECONDS
    for cell in task.cells:
        while is_held(study.run_path(cell)) and time.monotonic() < until:
            time.sleep(_RELEASE_SECONDS / 600)


def _states(task: Task) -> Statuses:
    """Where its cells stand, by slug."""
    study = StudyDirectory(task.directory)
    return {cell.slug: study.status(cell) for cell in task.cells}


@contextlib.contextmanager
def dask_executor(
    workers: int | None, scheduler: str | None, publish: Publish
) -> Iterator["DaskExecutor"]:
    """An executor, while its workers are there.

    Args:
        workers: processes on this machine; None for one per two cores, at least one.
        scheduler: address of one that runs already, such as "tcp://HOST:8786"; instead of workers.
        publish: makes the report of a cell's run, on its worker; can be pickled.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers at the address.
    """
    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            "--executor: dask needs distributed, which is not installed; allowed: "
            "pip install 'hessdiag[distributed]', or --executor local"
        )
    distributed: Any = importlib.import_module("distributed")
    settings: Any = importlib.import_module("dask").config
    with contextlib.ExitStack() as held:
        held.enter_context(settings.set(_SETTINGS))
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=workers or max(1, distributed.system.CPU_COUNT // 2),
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # none: a worker that is ended for its size comes back as large
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
            )
            scheduler = held.enter_context(cluster).scheduler_address
        try:
            client = distributed.Client(scheduler, timeout=_CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--scheduler: nothing answers at {scheduler!r}; allowed: the address of a Dask "
                "scheduler, such as tcp://HOST:8786"
            ) from error
        yield DaskExecutor(held.enter_context(client), publish)


@dataclass
class DaskExecutor:
    """Sends all tasks at once; gives each when it has ended."""

    client: Any  # a distributed.Client
    publish: Publish
    _tasks: dict[Any, Task] = field(default_factory=dict)  # by the future that stands for them
    _losses: Counter[str] = field(default_factory=Counter)  # of workers, by a task's first cell
    _next_look: float = 0.0  # by the monotonic clock
    _heard: dict[str, Observer] = field(default_factory=dict)  # of cells that run, by slug

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
            yield from self._ends(observer, stop, stop_file)
            stop_file.unlink(missing_ok=True)
        stop.check()

    def _ends(
        self, observer: StudyObserver, stop: StopRequest, stop_file: Path
    ) -> Iterator[tuple[Task, Statuses]]:
        """Every task with where its cells stand when it has ended; asked to stop, they soon do."""
        while self._tasks:
            for future in self._ended():
                task = self._tasks.pop(future)
                if (statuses := self._statuses(future, task)) is not None:
                    yield task, statuses
                else:
                    self._send(task)
            self._look(observer)
            if stop.signal_number is not None:
                stop_file.write_text(str(stop.signal_number))

    def _send(self, task: Task) -> None:
        self._tasks[self.client.submit(_on_worker, task, self.publish, pure=False)] = task

    def _look(self, observer: StudyObserver) -> None:
        """Tell how far cells are, in a tenth of the time at the most."""
        began = time.monotonic()
        if began >= self._next_look:
            for task in self._running():
                self._tell(task, observer)
            self._next_look = began + max(SECONDS_APART, 10.0 * (time.monotonic() - began))

    def _running(self) -> list[Task]:
        """The tasks that workers have, not those that wait for one."""
        keys = set(itertools.chain.from_iterable(self.client.processing().values()))
        return [task for future, task in self._tasks.items() if future.key in keys]

    def _ended(self) -> list[Any]:
        """The futures that are done, which is waited for a moment."""
        wait = importlib.import_module("distributed").wait
        with contextlib.suppress(TimeoutError):
            wait([*self._tasks], SECONDS_APART, return_when="FIRST_COMPLETED")
        return [future for future in self._tasks if future.done()]

    def _statuses(self, future: Any, task: Task) -> Statuses | None:
        """Where its cells stand; None where its worker was lost and another may go on."""
        lost = importlib.import_module("distributed").KilledWorker
        failures: list[Failure] = []
        with told(failures.append):
            try:
                return future.result()
            except lost:
                self._losses[task.cells[0].slug] += 1
                if self._losses[task.cells[0].slug] < MOST_LOSSES:
                    return None
                raise
        study = StudyDirectory(task.directory)
        for cell in task.cells:
            if study.status(cell).state != "finished":
                study.record_failure(cell, *failures[0])
        return _states(task)

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


def _stop_file(task: Task) -> Path:
    return task.directory / _STOP
