"""The reports of a study and of its cells: made when they are due, and missed aloud."""

import time
from collections.abc import Callable
from pathlib import Path

from hessdiag.study.failure import attempt

SECONDS_APART = 60.0  # between reports of the study: those of large ones take half a minute


class Reports:
    """Makes reports; one that cannot be made is said, and stops nothing.

    Args:
        publish: makes the report of a run directory.
        conclude: makes that of the study.
        say: is told, in one line, of a report that could not be made.
        clock: seconds; only differences matter.

    Attributes:
        missing: whose last report could not be made.
    """

    def __init__(
        self,
        publish: Callable[[Path], object],
        conclude: Callable[[], object],
        say: Callable[[str], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.missing: set[str] = set()
        self._publish = publish
        self._conclude = conclude
        self._say = say
        self._clock = clock
        self._is_new = True
        self._concluded = clock()

    def note(self) -> None:
        """Something happens that the study's report does not tell yet."""
        self._is_new = True

    def of_cell(self, name: str, path: Path) -> None:
        """Make that of a cell's run."""
        self._make(name, lambda: self._publish(path))

    def of_study(self, *, at_once: bool) -> None:
        """Make that of the study, if it has something to tell.

        Args:
            at_once: even if the last one is not a minute old.
        """
        if self._is_new and (at_once or self._clock() - self._concluded >= SECONDS_APART):
            self._make("the study", self._conclude)
            self._is_new = False
            self._concluded = self._clock()

    def _make(self, name: str, make: Callable[[], object]) -> None:
        self.missing.discard(name)
        failure = attempt(make)
        if failure:
            self.missing.add(name)
            self._say(f"the report of {name} could not be made ({failure.message})")
