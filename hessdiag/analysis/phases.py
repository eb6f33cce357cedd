"""Early, middle and late in training: by what has been learned, not by iterations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hessdiag.record.run_directory import RunRecord

PHASES = ("early", "middle", "late")

_EARLY, _LATE = 1 / 3, 0.9  # of the way of the headline metric from its first part to its last
_PARTS = 20  # of training, each with a mean
_MOVED = 4.0  # times what neighbouring parts differ by: as far a metric has to come
_LEVEL = 0.05  # of the way, between the last two parts and the two before


@dataclass(frozen=True)
class Way:
    """How the headline metric of a run came from its first part to its last."""

    told: np.ndarray  # iterations that were told of
    values: np.ndarray  # the metric there
    means: np.ndarray  # of parts

    @classmethod
    def of(cls, run: RunRecord) -> "Way | None":
        """Of what a run has trained so far; None if the metric came nowhere, or too few know."""
        told, values = _headline(run)
        part = (_PARTS * told / (told[-1:] + 1)).astype(int)
        if len(np.unique(part)) < _PARTS:
            return None
        means = np.bincount(part, values) / np.bincount(part)
        way = cls(told, values, means)
        return way if abs(way.length) > _MOVED * np.median(np.abs(np.diff(means))) else None

    @property
    def length(self) -> float:
        """From the first part to the last, with its sign."""
        return float(self.means[-1] - self.means[0])

    @property
    def has_levelled_off(self) -> bool:
        """Whether the last two parts are level with the two before."""
        last = 0.5 * np.sum(self.means[-2:] - self.means[-4:-2])
        return bool(abs(last) <= _LEVEL * abs(self.length))

    def share(self, iteration: int) -> float:
        """How much of the way lies behind: the mean around an iteration."""
        half = (self.told[-1] + 1) / (2 * _PARTS)
        around = np.abs(self.told - iteration) <= half
        here = self.values[around].mean() if around.any() else self.means[-1]
        return float((here - self.means[0]) / self.length)


def phase_of(run: RunRecord, iterations: int) -> Callable[[int], str]:
    """Iteration → phase, by the headline metric's mean around it.

    Early is the first third of the way that the metric comes, late what is at the end of it or
    nearly so; nothing is late in a training whose metric has not levelled off. Where the metric
    came nowhere, thirds of training are meant.

    Args:
        run: with metrics of what it has trained so far.
        iterations: of the whole training.
    """
    way = Way.of(run)
    if way is None:
        return lambda iteration: third(iteration, iterations)

    def phase(iteration: int) -> str:
        share = way.share(iteration)
        if share < _EARLY:
            return PHASES[0]
        return PHASES[2] if way.has_levelled_off and share >= _LATE else PHASES[1]

    return phase


def have_levelled_off(runs: Sequence[RunRecord]) -> bool:
    """Whether the headline metric of every run came some way, and moves no more."""
    ways = [Way.of(run) for run in runs]
    return all(way is not None and way.has_levelled_off for way in ways)


def third(iteration: int, iterations: int) -> str:
    """The third of training that an iteration lies in."""
    return PHASES[min(3 * iteration // max(iterations, 1), 2)]


def _headline(run: RunRecord) -> tuple[np.ndarray, np.ndarray]:
    """Iterations that were told of, and what the headline metric was there."""
    name = f"metrics.{run.config.get('problem', {}).get('headline')}"
    if name not in run.metrics:
        return np.empty(0), np.empty(0)
    told = run.metrics[["iteration", name]].dropna().to_numpy(float)
    return told[:, 0], told[:, 1]
