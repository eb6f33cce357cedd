"""Resampling whole clusters: probes of one run are not independent, runs are."""

import numpy as np

from hessdiag.variance.bootstrap import Interval


def cluster_draws(clusters: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(R, C) which clusters each resample holds, C of them drawn with replacement."""
    number = len(np.unique(clusters))
    return rng.integers(number, size=(resamples, number))


def members(clusters: np.ndarray) -> list[np.ndarray]:
    """The indices of the probes of each cluster, in the order of `np.unique`."""
    return [np.flatnonzero(clusters == name) for name in np.unique(clusters)]


def percentile_interval(
    value: np.ndarray | float, resampled: np.ndarray, confidence: float
) -> Interval:
    """The percentile interval of resampled values, resamples along axis 0; NaN are left out."""
    tail = (1.0 - confidence) / 2.0
    resampled = np.asarray(resampled, dtype=np.float64)
    defined = np.isfinite(resampled)
    filled = np.where(defined.any(axis=0), resampled, 0.0)  # no warning where none is defined
    low, high = np.nanquantile(filled, [tail, 1.0 - tail], axis=0)
    nowhere = ~defined.any(axis=0)
    return Interval(
        np.asarray(value), np.where(nowhere, np.nan, low), np.where(nowhere, np.nan, high)
    )


def coinciding(predicted: dict[str, np.ndarray], *, tolerance: float) -> dict[str, tuple[str, ...]]:
    """Of every prediction, the others that differ from it nowhere by more than `tolerance`."""
    return {
        name: tuple(
            other
            for other, values in predicted.items()
            if other != name and np.abs(values / own - 1.0).max() < tolerance
        )
        for name, own in predicted.items()
    }
