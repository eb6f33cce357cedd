"""Counts the programs that XLA compiles, or takes from a cache on disk."""

import contextlib
from collections.abc import Iterator

import jax

_EVENT = "/jax/core/compile/backend_compile_duration"
_seen = 0


def _note(event: str, duration_secs: float, **_: str | int) -> None:
    global _seen
    del duration_secs
    _seen += event == _EVENT


jax.monitoring.register_event_duration_secs_listener(_note)


class Count:
    """How many there were so far."""

    def __init__(self):
        self._before = _seen
        self._after: int | None = None

    def stop(self) -> None:
        self._after = _seen

    @property
    def programs(self) -> int:
        return (_seen if self._after is None else self._after) - self._before


@contextlib.contextmanager
def compiling() -> Iterator[Count]:
    """Counts what is compiled inside."""
    count = Count()
    yield count
    count.stop()
