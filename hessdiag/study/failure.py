"""What went wrong, in words: one line to show, and the whole of it to keep."""

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hessdiag.train.interrupt import Interrupted


class Failure(NamedTuple):
    """An exception as text; nothing of it is kept alive, for its frames hold arrays."""

    message: str  # one line, its type and what it says
    details: str  # its traceback


@contextlib.contextmanager
def told(tell: Callable[[Failure], object]) -> Iterator[None]:
    """Around what stops nothing when it fails: `tell` hears how. Only `Interrupted` gets through.

    Args:
        tell: called with the failure, if there is one.
    """
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # whatever a user's problem may raise
        name, said = type(error).__name__, " ".join(str(error).split())
        tell(Failure(f"{name}: {said}" if said else name, traceback.format_exc()))
