"""Tasks of a study on Dask workers: processes of a local cluster, or whatever a scheduler has.

A worker that is lost is replaced by its nanny; its task is sent again.
"""

import contextlib
import importlib
import importlib.util
import itertools
import logging
from collections.abc import Iterator
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.study.elsewhere import SECONDS_APART, Elsewhere, End, Publish, on_worker
from hessdiag.study.task import Task
from hessdiag.train.interrupt import Failure, told

_CONNECT_SECONDS = 20
_SETTINGS = {  # of a cluster of our own; workers read the environment that they are given
    "distributed.scheduler.allowed-failures": 0,  # under a task, which is sent again from here
    "distributed.logging.distributed": "critical",
}


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


class DaskExecutor(Elsewhere):
    """Sends all tasks at once; gives each when it has ended."""

    def __init__(self, client: Any, publish: Publish):
        super().__init__(publish)
        self.client = client  # a distributed.Client
        self._tasks: dict[Any, Task] = {}  # by the future that stands for them

    def _send(self, task: Task) -> None:
        self._tasks[self.client.submit(on_worker, task, self._publish, pure=False)] = task

    def _running(self) -> list[Task]:
        keys = set(itertools.chain.from_iterable(self.client.processing().values()))
        return [task for future, task in self._tasks.items() if future.key in keys]

    def _ended(self) -> list[tuple[Task, End]]:
        return [(self._tasks.pop(future), _end(future)) for future in self._done()]

    def _done(self) -> list[Any]:
        """The futures that are done, which is waited for a moment."""
        wait = importlib.import_module("distributed").wait
        with contextlib.suppress(TimeoutError):
            wait([*self._tasks], SECONDS_APART, return_when="FIRST_COMPLETED")
        return [future for future in self._tasks if future.done()]


def _end(future: Any) -> End:
    """How a future that is done has ended."""
    lost = importlib.import_module("distributed").KilledWorker
    failures: list[Failure] = []
    with told(failures.append):
        try:
            return End(statuses=future.result())
        except lost:
            return End()
    return End(failure=failures[0])
