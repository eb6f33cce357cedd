"""What runs the tasks of a study, each a function from tasks to where their cells stand.

State is on disk alone: an executor may run tasks in any order, anywhere that sees the study's
directory, and give each as soon as it has ended. The observer and the stop request are of the
calling process; what runs tasks elsewhere tells of them what it can.
"""

from collections.abc import Callable, Iterable, Iterator

from hessdiag.study.executors.local import local
from hessdiag.study.observer import StudyObserver
from hessdiag.study.task import Statuses, Task
from hessdiag.train.interrupt import StopRequest

Executor = Callable[[Iterable[Task], StudyObserver, StopRequest], Iterator[tuple[Task, Statuses]]]

__all__ = ["Executor", "local"]
