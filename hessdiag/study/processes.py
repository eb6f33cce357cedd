"""Tasks of a study in processes of this machine, each on cores of its own."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.queues import SimpleQueue
from typing import Any

from hessdiag.cores import usable_cores
from hessdiag.study.elsewhere import SECONDS_APART, Elsewhere, End, Publish, on_worker
from hessdiag.study.task import Task
from hessdiag.train.interrupt import Failure, StopRequest, told

_SPAWNING = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork


@contextlib.contextmanager
def processes(number: int, cores: int, publish: Publish) -> Iterator["Processes"]:
    """An executor of so many processes, while they are there.

    Args:
        number: of processes.
        cores: of each. A program adds in another order on another number of cores, so that this
            decides the last digits of what a cell computes.
        publish: makes the report of a cell's run, in its process; can be pickled.
    """
    executor = Processes(_shares(number, cores), publish)
    try:
        yield executor
    finally:
        executor.close()


class Processes(Elsewhere):
    """Sends a task to whichever process is free; one that is lost is replaced."""

    def __init__(self, shares: Sequence[Sequence[int]], publish: Publish):
        super().__init__(publish)
        self.workers = [_Worker(share) for share in shares]
        self._waiting: deque[Task] = deque()

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.close()

    def _send(self, task: Task) -> None:
        self._waiting.append(task)
        self._dispatch()

    def _dispatch(self) -> None:
        for worker in self.workers:
            if worker.task is None and self._waiting:
                worker.send(self._waiting.popleft(), self._publish)

    def _running(self) -> list[Task]:
        return [worker.task for worker in self.workers if worker.task is not None]

    def _ended(self) -> list[tuple[Task, End]]:
        busy = {worker.pipe: worker for worker in self.workers if worker.task is not None}
        ended = [busy[pipe].end() for pipe in wait([*busy], SECONDS_APART)]  # pyright: ignore
        self._dispatch()
        return ended


class _Worker:
    """One process, and the task that it has; begun with its first task."""

    def __init__(self, cores: Sequence[int]):
        self.task: Task | None = None
        self.cores = cores
        self.pipe: Connection | None = None
        self._process = None

    def send(self, task: Task, publish: Publish) -> None:
        """Have it run; a process that was lost while it had nothing to do is replaced."""
        if self._process is None or not self._process.is_alive():
            self._begin()
        assert self.pipe is not None
        self.task = task
        with contextlib.suppress(BrokenPipeError):  # lost: heard of where its end is read
            self.pipe.send((task, publish))

    def _begin(self) -> None:
        self.close()
        self.pipe, theirs = _SPAWNING.Pipe()
        self._process = _SPAWNING.Process(
            target=_serve, args=(theirs, list(self.cores)), daemon=True
        )
        self._process.start()
        theirs.close()

    def end(self) -> tuple[Task, End]:
        """The task, and how it ended."""
        assert self.task is not None
        assert self.pipe is not None
        task, self.task = self.task, None
        try:
            return task, self.pipe.recv()
        except (EOFError, OSError):
            self.close()
            return task, End()

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self.pipe is not None:
            self.pipe.close()


@contextlib.contextmanager
def pool(number: int, cores: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes of so many cores, for functions of one's own; they end with this one."""
    shares = _SPAWNING.SimpleQueue()
    for share in _shares(number, cores):
        shares.put(share)
    executor = ProcessPoolExecutor(number, _SPAWNING, _take, (shares,))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def elsewhere(cores: int) -> Iterator[Callable[..., Any]]:
    """Calls functions in a process of so many cores, as those that run tasks are; 0: in this one.

    Raises:
        OSError: by a call: the process is lost.
    """
    if not cores:
        yield lambda function, *given: function(*given)
        return
    with pool(1, cores) as executor:
        yield lambda function, *given: ended(executor.submit(function, *given))


def ended(future: Future[Any]) -> Any:
    """What a function returns, once it does.

    Raises:
        OSError: its process is lost.
    """
    try:
        return future.result()
    except BrokenExecutor as error:
        raise OSError("a process of this command was killed") from error


def _shares(number: int, cores: int) -> list[list[int]]:
    """The cores of each process."""
    usable = usable_cores()
    return [
        [usable[(worker * cores + core) % len(usable)] for core in range(min(cores, len(usable)))]
        for worker in range(number)
    ]


def _take(shares: "SimpleQueue[list[int]]") -> None:
    _settle(shares.get())


def _serve(pipe: Connection, cores: Sequence[int]) -> None:
    """Run what comes through the pipe until it is closed."""
    _settle(cores)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_run(*pipe.recv()))


def _settle(cores: Sequence[int]) -> None:
    """Be a process that works on these cores for another, as long as that one is there."""
    for number in StopRequest.SIGNALS:  # may reach all processes; the study says when to stop
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _run(task: Task, publish: Publish) -> End:
    failures: list[Failure] = []
    with told(failures.append):
        return End(statuses=on_worker(task, publish))
    return End(failure=failures[0])


def _end_with_parent() -> None:
    """End at once when the study's process is gone: its directories are to be free again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
