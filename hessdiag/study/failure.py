"""What went wrong, in words: one line to show, and the whole of it to keep."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hessdiag.train.interrupt import Interrupted


@dataclass(frozen=True)
class Failure:
    """An exception as text; nothing of it is kept alive, for its frames hold arrays.

    Attributes:
        message: one line, its type and what it says.
        details: its traceback.
    """

    message: str
    details: str


def attempt(action: Callable[[], object]) -> Failure | None:
    """Do something that stops nothing when it fails; returns how it failed, if it did.

    Raises:
        Interrupted: a stop was requested.
    """
    try:
        action()
    except Interrupted:
        raise
    except Exception as error:  # whatever a user's problem may raise
        name, said = type(error).__name__, " ".join(str(error).split())
        return Failure(f"{name}: {said}" if said else name, traceback.format_exc())
    return None
