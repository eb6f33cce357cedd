"""Slopes of curves on double logarithmic axes, with intervals from bootstrap draws."""

import numpy as np

from hessdiag.statistics.bootstrap import Interval

SHARPEST = 0.02  # no point counts more than one that is known to so much of itself
FEWEST = 3  # points behind a slope


def power_law(
    x: np.ndarray, values: np.ndarray, draws: np.ndarray, *, confidence: float
) -> tuple[Interval, int]:
    """The exponent of y ∝ x^s by weighted least squares of logarithms, and of how many points.

    A point counts by what its draws vary, and not at all where its interval reaches zero: its
    logarithm is not known. Ours: both rules.

    Args:
        x: (P,) places, all positive.
        values: (P,) of the curve there.
        draws: (P, D) bootstrap draws of the same, independent from point to point.
        confidence: level of the percentile interval.
    """
    lowest = np.quantile(draws, (1.0 - confidence) / 2.0, axis=1)
    kept = (values > 0) & (lowest > 0)
    number = int(kept.sum())
    nothing = np.array(np.nan)
    if number < FEWEST:
        return Interval(nothing, nothing, nothing), number
    logs, places = np.log(np.maximum(draws[kept], np.finfo(float).tiny)), np.log(x[kept])
    weights = 1.0 / np.maximum(logs.std(axis=1), SHARPEST) ** 2
    slopes = _slope(places, logs.T, weights)
    tails = np.quantile(slopes, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(_slope(places, np.log(values[kept]), weights), *tails), number


def _slope(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(…) of y (…, P) on x (P,)."""
    share = weights / weights.sum()
    about = x - share @ x
    return (y @ (share * about)) / (share @ about**2)
