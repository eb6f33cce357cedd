"""How the meta-gradient's standard deviation grows with the number of inner steps."""

from typing import NamedTuple

import numpy as np

from hessdiag.statistics.bootstrap import Interval, bca_interval_of_moments
from hessdiag.statistics.defined import mean_defined


class Spread(NamedTuple):
    """Statistics of K meta-gradients of one estimator; arrays (n, m) unless noted."""

    mean: Interval
    std: Interval  # per meta-parameter, ddof 1
    ratio: Interval  # std over the 1-step std of the same meta-parameter
    growth: Interval  # (n,): the ratio averaged over meta-parameters (Bonnet et al. 2021, table 1)


def measure_spread(
    meta_gradients: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Spread:
    """Mean, std, std ratio and growth, each with its confidence interval.

    Args:
        meta_gradients: (K, n, m), entry (k, i−1) the i-step estimate of sample k: the horizons of
            one sample share their random numbers.
        confidence: level of the intervals.
        resamples: bootstrap resamples.
        rng: randomness of the bootstrap.

    Returns:
        Everything from the same resamples. A meta-parameter whose 1-step std is zero has ratio
        NaN, and is left out of the growth; where there is no other, so is the growth.
    """

    def statistics(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        ratio = std_ratio(std)
        growth = mean_defined(np.where(defined, ratio, np.nan), axis=-1)[..., None]
        return np.concatenate([mean, std, ratio, growth], axis=-1)

    samples = meta_gradients.astype(np.float64)
    m = samples.shape[2]
    defined = samples[:, 0].std(axis=0) > 0
    whole = bca_interval_of_moments(
        statistics, samples, confidence=confidence, resamples=resamples, rng=rng
    )
    mean, std, ratio = (
        Interval(*(part[:, block * m : (block + 1) * m] for part in whole)) for block in range(3)
    )
    return Spread(mean, std, ratio, Interval(*(part[:, -1] for part in whole)))


def std_ratio(std: np.ndarray) -> np.ndarray:
    """(…, n, m) standard deviations over their first row; NaN where that is zero."""
    base = std[..., :1, :]
    return np.where(base > 0, std / np.where(base > 0, base, 1.0), np.nan)


def mixed(meta_gradients: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The i-mix estimates from the i-step ones, i = 1 … n (Bonnet et al. 2021, eq. 10).

    Args:
        meta_gradients: (K, n, m) i-step estimates.
        weights: entry i−1 holds the i weights of the i-mix.

    Returns:
        (K, n, m) i-mix estimates.
    """
    n = meta_gradients.shape[1]
    matrix = np.stack([np.pad(row, (0, n - len(row))) for row in weights])
    return np.einsum("hi,kim->khm", matrix, meta_gradients.astype(np.float64))
