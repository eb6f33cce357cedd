"""Tasks in this process, one after the other."""

from collections.abc import Iterable, Iterator

from hessdiag.study.observer import StudyObserver
from hessdiag.study.task import Statuses, Task
from hessdiag.train.interrupt import StopRequest


def local(
    tasks: Iterable[Task], observer: StudyObserver, stop: StopRequest
) -> Iterator[tuple[Task, Statuses]]:
    """Run every task when it is asked for.

    Raises:
        Interrupted: a stop was requested; everything is saved.
    """
    for task in tasks:
        yield task, task(observer, stop)
