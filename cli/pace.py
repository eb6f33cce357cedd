"""How fast a run goes, and how long the rest will take: iterations and probes apart."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RECENT = 20  # iterations behind the rate
PLAIN_SECONDS = 15.0  # between two lines of progress


@dataclass
class Pace:
    """Learns the cost of an iteration and of a probe from the events of a run."""

    iterations: int  # of the whole run
    probes: Sequence[int]  # the iterations that are probed at
    clock: Callable[[], float] = time.monotonic  # seconds; only differences matter

    def __post_init__(self):
        self._done = 0
        self._last_iteration: float | None = None
        self._iteration_seconds: deque[float] = deque(maxlen=RECENT)
        self._probe_began: float | None = None  # while one is under way
        self._probe_seconds: float | None = None  # of the last one

    def note(self, phase: str, done: int) -> None:
        """Take in an event: a phase has come to `done`.

        A probe lasts until the next iteration is done: its statistics and the report belong to it.
        """
        now = self.clock()
        if phase == "training":
            if self._probe_began is not None:
                self._probe_seconds = now - self._probe_began
            elif self._last_iteration is not None and done > self._done:
                self._iteration_seconds.append((now - self._last_iteration) / (done - self._done))
            self._probe_began = None
            self._done, self._last_iteration = done, now
        if phase == "probing" and self._probe_began is None:
            self._probe_began = now

    @property
    def rate(self) -> float | None:
        """Iterations per second, probes left out."""
        if not self._iteration_seconds:
            return None
        return 1.0 / max(statistics.median(self._iteration_seconds), 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time to the end; None before an iteration, or before the first probe where one is due."""
        rate, under_way = self.rate, 0.0
        due = sum(iteration > self._done for iteration in self.probes)
        if self._probe_began is not None:
            due, under_way = due + 1, self.clock() - self._probe_began
        if rate is None or (due and self._probe_seconds is None):
            return None
        probing = due * (self._probe_seconds or 0.0)
        return (self.iterations - self._done) / rate + max(probing - under_way, 0.0)

    def text(self) -> str:
        """Rate and time left, as far as they are known."""
        if self.rate is None:
            return ""
        left = ""
        if self.seconds_left is not None:
            minutes, seconds = divmod(round(self.seconds_left), 60)
            left = f", {minutes}:{seconds:02d} left"
        return f"{self.rate:.2f} it/s{left}"
