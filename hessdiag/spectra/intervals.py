"""What stands after ±: half of an interval that holds the truth.

An eigenvalue has a bound. What is estimated by random vectors, a share or a trace, has a 95 %
confidence interval: the truth is within in 95 of 100 measurements, or in more, where what a
quadrature leaves open is bounded rather than known, and is added.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, stdtrit

UPPER_LEVEL = 0.975
"""Of the two-sided 95 % interval."""

_HALVINGS = 32


def student(standard_error: ArrayLike, degrees: ArrayLike) -> np.ndarray:
    """Half-width of the 95 % interval of an error that has these degrees of freedom."""
    quantile = stdtrit(np.asarray(degrees, np.float64), UPPER_LEVEL)
    return quantile * np.asarray(standard_error)


def share_interval(
    lower: Float[np.ndarray, "*shape"], upper: Float[np.ndarray, "*shape"], *, total: int
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """The 95 % interval of the share N / d of a subspace, from what random directions have in it.

    The squared part of one random direction in a subspace of N of d dimensions follows the beta
    distribution of N / 2 and (d - N) / 2; the mean over several nearly so, with as many times both.
    It is inverted for N, which need not be an integer, at the least and at the most that the mean
    may be.

    Args:
        lower: The least that the mean over the directions may be; NaN gives NaN.
        upper: The most.
        total: d times the number of directions.
    """
    half, level = total / 2, 1 - UPPER_LEVEL
    low = _root(lambda p: betaincc(half * p, half * (1 - p), lower) < level, 0 * lower, lower)
    high = _root(lambda p: betainc(half * p, half * (1 - p), upper) > level, upper, 1 + 0 * upper)
    return low, high


def _root(is_below, low, high):
    """Where a condition that holds up to some number ends, by bisection."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = is_below(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
