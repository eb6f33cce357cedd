"""The reports of a study and of its cells: made when they are due, and missed aloud."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hessdiag.train.interrupt import Failure, told

SECONDS_APART = 60.0  # between reports of the study
SHARE = 0.1  # of the time that goes into them at the most: those of large studies take minutes


@dataclass
class Reports:
    """Makes reports; one that cannot be made is said, and stops nothing."""

    publish: Callable[[Path], object]  # makes the report of a run directory
    conclude: Callable[[], object]  # makes that of the study
    say: Callable[[str], object]  # is told, in one line, of a report that could not be made
    clock: Callable[[], float] = time.monotonic  # seconds; only differences matter
    missing: set[str] = field(default_factory=set)  # whose last report could not be made

    def __post_init__(self):
        self._is_new = True
        self._concluded, self._took = self.clock(), 0.0

    def note(self) -> None:
        """Something happens that the study's report does not tell yet."""
        self._is_new = True

    def of_cell(self, name: str, path: Path) -> None:
        """Make that of a cell's run."""
        self._make(name, lambda: self.publish(path))

    def of_study(self, *, at_once: bool) -> None:
        """Make that of the study, if it has something to tell; not `at_once`, once a minute."""
        began = self.clock()
        apart = max(SECONDS_APART, self._took / SHARE)
        if self._is_new and (at_once or began - self._concluded >= apart):
            self._make("the study", self.conclude)
            self._is_new = False
            self._concluded = self.clock()
            self._took = self._concluded - began

    def _make(self, name: str, make: Callable[[], object]) -> None:
        def miss(failure: Failure) -> None:
            self.missing.add(name)
            self.say(f"the report of {name} could not be made ({failure.message})")

        self.missing.discard(name)
        with told(miss):
            make()
