"""What stops work and loses nothing: requests, heeded at safe points; and what stops nothing."""

import contextlib
import signal
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple


class Interrupted(Exception):
    """A stop was requested and everything is saved."""

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class StopRequest:
    """Remembers SIGINT and SIGTERM while it is entered; a second signal acts at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.signal_number: int | None = None
        self._before: dict = {}

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._heed) for number in self.SIGNALS}
        return self

    def __exit__(self, *_):
        self._restore()

    def is_made(self) -> bool:
        """Whether a stop was requested."""
        return self.signal_number is not None

    def check(self) -> None:
        """Raise `Interrupted` where a stop was requested; call it at safe points."""
        if self.is_made():
            raise Interrupted(self.signal_number or self.SIGNALS[0])

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Failure(NamedTuple):
    """An exception as text; nothing of it is kept alive, for its frames hold arrays."""

    message: str  # one line, its type and what it says
    details: str  # its traceback


@contextlib.contextmanager
def told(tell: Callable[[Failure], object]) -> Iterator[None]:
    """Around what stops nothing when it fails: `tell` hears how; `Interrupted` gets through."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # whatever a user's problem may raise
        name, said = type(error).__name__, " ".join(str(error).split())
        tell(Failure(f"{name}: {said}" if said else name, traceback.format_exc()))
