"""Ctrl-C where there is nothing to save."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

_SHOW_CURSOR = "\x1b[?25h"


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside, Ctrl-C ends the process, with exit code 130.

    Python's own way is an exception, which is lost where JAX calls Python from C++: the command
    would go on, after a traceback.
    """
    with _on_interrupt(_leave):
        yield


@contextlib.contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Inside, Ctrl-C ends what is inside, and nothing else."""
    with _on_interrupt(signal.default_int_handler), contextlib.suppress(KeyboardInterrupt):
        yield


def _leave(number: int, _: FrameType | None) -> NoReturn:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())
    os._exit(128 + number)


@contextlib.contextmanager
def _on_interrupt(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """A handler of SIGINT; where signals are ignored, or another's, it stays as it is."""
    known = (signal.default_int_handler, _leave)
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) not in known
    ):
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
