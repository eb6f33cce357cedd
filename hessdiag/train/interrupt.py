"""Ctrl-C and termination that lose nothing: a request, heeded at the next safe point."""

import signal
from types import FrameType


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

    def check(self) -> None:
        """Raise `Interrupted` where a stop was requested; call it at safe points."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
