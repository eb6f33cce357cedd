"""Resampling whole clusters: probes of one run are not independent, runs are."""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from hessdiag.statistics.bootstrap import Interval


def cluster_draws(clusters: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(R, C) which clusters each resample holds, C of them drawn with replacement."""
    number = len(np.unique(clusters))
    return rng.integers(number, size=(resamples, number))


def members(clusters: np.ndarray) -> list[np.ndarray]:
    """The indices of the probes of each cluster, in the order of `np.unique`."""
    return [np.flatnonzero(clusters == name) for name in np.unique(clusters)]


def bootstrap_t_interval(
    value: np.ndarray | float,
    resampled: np.ndarray,
    clusters: int,
    confidence: float,
    *,
    scale: Callable[[np.ndarray], np.ndarray] = np.asarray,
    back: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Interval:
    """Value ± Student's t times the bootstrap's standard error, resamples along axis 0.

    Percentiles of few clusters are too narrow: no resample leaves their range, and a few means
    often lie to one side of the truth. Here the standard error is widened by √(C/(C − 1)), which
    makes it that of a mean of C clusters, and t has C − 1 degrees of freedom. NaN are left out.

    Args:
        value: the estimate.
        resampled: (R, …) the same of each resample.
        clusters: C; with fewer than two the ends are NaN.
        confidence: level.
        scale: to where the estimate is nearer to normal, such as `np.log`; increasing.
        back: its inverse.
    """
    point = scale(np.asarray(value, dtype=np.float64))
    moved = scale(np.asarray(resampled, dtype=np.float64))
    if clusters < 2:
        nowhere = np.full(point.shape, np.nan)
        return Interval(np.asarray(value), nowhere, nowhere)
    kept = np.isfinite(moved)
    number = kept.sum(axis=0)
    mean = np.where(kept, moved, 0.0).sum(axis=0) / np.maximum(number, 1)
    squares = np.where(kept, (moved - mean) ** 2, 0.0).sum(axis=0)
    variance = squares / np.maximum(number - 1, 1) * clusters / (clusters - 1)
    reach = stdtrit(clusters - 1, 0.5 + confidence / 2.0) * np.sqrt(variance)
    reach = np.where(number > 1, reach, np.nan)
    return Interval(np.asarray(value), back(point - reach), back(point + reach))


def coinciding(predicted: dict[str, np.ndarray], *, tolerance: float) -> dict[str, tuple[str, ...]]:
    """Of every prediction, the others that differ from it nowhere by more than `tolerance`."""
    return {
        name: tuple(
            other
            for other, values in predicted.items()
            if other != name and np.abs(values / prediction - 1.0).max() < tolerance
        )
        for name, prediction in predicted.items()
    }
