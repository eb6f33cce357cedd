"""How fast a run goes, and how long the rest will take: iterations and probes apart."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence

RECENT = 20  # iterations behind the rate


class Pace:
    """Learns the cost of an iteration and of a probe from the events of a run.

    Args:
        iterations: training iterations of the whole run.
        probes: the iterations that are probed at.
        clock: seconds; only differences matter.
    """

    def __init__(
        self,
        iterations: int,
        probes: Sequence[int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._iterations = iterations
        self._probes = probes
        self._clock = clock
        self._last: tuple[str, float] | None = None
        self._done = 0
        self._fraction = 0.0  # of the probe under way
        self._iteration_seconds: deque[float] = deque(maxlen=RECENT)
        self._probe_seconds: list[float] = []
        self._probe_began = 0.0
        self._probed: int | None = None  # where the latest whole probe was

    def note(self, phase: str, done: int, total: int) -> None:
        """Take in an event: a phase has reached `done` of `total`."""
        now = self._clock()
        if phase == "training":
            self._done = done
            if self._last is not None and self._last[0] == "training":
                self._iteration_seconds.append(now - self._last[1])
        if phase == "probing":
            self._note_probe(now, done, total)
        self._last = (phase, now)

    def _note_probe(self, now: float, done: int, total: int) -> None:
        if done == 0:
            self._probe_began = now
        self._fraction = done / total
        if done == total:
            self._probe_seconds.append(now - self._probe_began)
            self._fraction = 0.0
            self._probed = self._done

    @property
    def rate(self) -> float | None:
        """Iterations per second, probes left out."""
        if not self._iteration_seconds:
            return None
        return 1.0 / max(statistics.median(self._iteration_seconds), 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time to the end; None before an iteration, or before the first probe where one is due."""
        rate = self.rate
        here = self._done in self._probes and self._probed != self._done
        due = sum(at > self._done for at in self._probes) + here * (1.0 - self._fraction)
        if rate is None or (due and not self._probe_seconds):
            return None
        per_probe = self._probe_seconds[-1] if self._probe_seconds else 0.0
        return (self._iterations - self._done) / rate + due * per_probe

    def text(self) -> str:
        """Rate and time left, as far as they are known."""
        if self.rate is None:
            return ""
        left = self.seconds_left
        if left is None:
            return f"{self.rate:.2f} it/s"
        minutes, seconds = divmod(round(left), 60)
        return f"{self.rate:.2f} it/s, {minutes}:{seconds:02d} left"
