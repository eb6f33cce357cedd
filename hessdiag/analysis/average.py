"""Averages over seeds with their interval, and over probes where there is a single seed."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit


class Average(NamedTuple):
    """A mean with its interval.

    Attributes:
        value: the mean.
        low: lower end; NaN where there is a single value.
        high: upper end.
        deviation: standard deviation of the values; NaN where there is one.
        count: how many values.
        over: "seeds" or "probes".
    """

    value: float
    low: float
    high: float
    deviation: float
    count: int
    over: str

    def columns(self, prefix: str, transform: Callable[[float], float] = float) -> dict[str, Any]:
        """Value and ends as entries of a row."""
        return {
            prefix: transform(self.value),
            f"{prefix}_low": transform(self.low),
            f"{prefix}_high": transform(self.high),
        }

    def geometric(self, prefix: str) -> dict[str, Any]:
        """The same of an average of logarithms."""
        return self.columns(prefix, lambda logarithm: float(np.exp(logarithm)))


def logs(sizes: np.ndarray) -> np.ndarray:
    """Logarithms of sizes; NaN, which averages leave out, where a size is zero."""
    return np.log(np.where(np.asarray(sizes) > 0, sizes, np.nan))


def over_seeds(values: Sequence[Sequence[float]], *, confidence: float) -> Average:
    """Mean and Student's interval of the seeds' means.

    Runs are independent, their probes are not: each seed counts once. With one seed the interval
    is over its probes, and says so.

    Args:
        values: per seed, one value per probe; what is not finite is left out.
        confidence: level of the interval.
    """
    finite = [[v for v in seed if np.isfinite(v)] for seed in values]
    seeds = [float(np.mean(seed)) for seed in finite if seed]
    over, units = "seeds", seeds
    if len(seeds) == 1:
        over, units = "probes", next(seed for seed in finite if seed)
    count = len(units)
    if not count:
        return Average(np.nan, np.nan, np.nan, np.nan, 0, over)
    mean = float(np.mean(units))
    if count == 1:
        return Average(mean, np.nan, np.nan, np.nan, 1, over)
    deviation = float(np.std(units, ddof=1))
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * deviation / np.sqrt(count)
    return Average(mean, mean - half, mean + half, deviation, count, over)
