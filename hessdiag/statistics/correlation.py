"""Rank correlation over probes, with a confidence interval."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

FEWEST = 4  # below this the interval is all of [−1, 1]


class Correlation(NamedTuple):
    """Spearman's rank correlation and its interval."""

    value: float
    low: float
    high: float
    points: int


def rank_correlation(x: np.ndarray, y: np.ndarray, *, confidence: float) -> Correlation | None:
    """Spearman's correlation of paired values.

    The interval is Fisher's z with the variance 1.06/(N − 3) of Fieller, Hartley & Pearson (1957).
    Probes of one run are not independent, so that the interval is, if anything, too short.

    Returns:
        None with fewer than four pairs, or where one of the two is constant.
    """
    points = len(x)
    if points < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    value = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    half = ndtri((1.0 + confidence) / 2.0) * np.sqrt(1.06 / (points - 3))
    z = np.arctanh(np.clip(value, -1.0 + 1e-12, 1.0 - 1e-12))
    return Correlation(value, float(np.tanh(z - half)), float(np.tanh(z + half)), points)
