"""How mean and standard deviation of the meta-gradient change with the number of inner steps."""

from typing import Any, NamedTuple, Unpack

import numpy as np

from hessdiag.statistics.bootstrap import Interval, Resampling, bca_interval_of_moments


class Spread(NamedTuple):
    """Statistics of K meta-gradients of one estimator; arrays (n, m) unless noted."""

    mean: Interval
    std: Interval  # per meta-parameter, ddof 1
    ratio: Interval  # std over the 1-step std of the same meta-parameter
    growth: Interval  # (n,): the ratio averaged over meta-parameters (Bonnet et al. 2021, table 1)


def measure_spread(meta_gradients: np.ndarray, **how: Unpack[Resampling]) -> Spread:
    """Mean, std, std ratio and growth, each with its interval, all from the same resamples.

    A meta-parameter whose 1-step std is zero has ratio NaN, and is left out of the growth; where
    there is no other, the growth is NaN, too.

    Args:
        meta_gradients: (K, n, m), entry (k, i−1) the i-step estimate of sample k: the horizons of
            one sample share their random numbers.
        how: level of the intervals, resamples and their randomness.
    """

    def statistics(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        ratio = std_ratio(std)
        growth = mean_defined(np.where(defined, ratio, np.nan), axis=-1)[..., None]
        return np.concatenate([mean, std, ratio, growth], axis=-1)

    samples = meta_gradients.astype(np.float64)
    m = samples.shape[2]
    defined = samples[:, 0].std(axis=0) > 0
    whole = bca_interval_of_moments(statistics, samples, **how)
    blocks = [slice(start, start + m) for start in (0, m, 2 * m)]
    mean, std, ratio = (whole.map(lambda part, block=block: part[:, block]) for block in blocks)
    return Spread(mean, std, ratio, whole.map(lambda part: part[:, -1]))


def std_ratio(std: np.ndarray) -> np.ndarray:
    """(…, n, m) standard deviations over their first row; NaN where that is zero."""
    base = std[..., :1, :]
    return np.where(base > 0, std / np.where(base > 0, base, 1.0), np.nan)


def mixed(meta_gradients: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """(K, n, m) i-mix estimates from as many i-step ones (Bonnet et al. 2021, eq. 10).

    Entry i−1 of the weights holds the i weights of the i-mix.
    """
    n = meta_gradients.shape[1]
    matrix = np.stack([np.pad(row, (0, n - len(row))) for row in weights])
    return np.einsum("hi,kim->khm", matrix, meta_gradients.astype(np.float64))


class Bias(NamedTuple):
    """Distances to the oracle; arrays (n, m)."""

    distance: np.ndarray  # mean over samples of estimate − oracle
    error: np.ndarray  # its standard error: the Monte-Carlo floor


def bias_to(oracle: np.ndarray, estimates: np.ndarray) -> Bias:
    """Bias of truncated meta-gradients against an oracle (Bonnet et al. 2021, eq. 7).

    Estimate and oracle of one sample share their random numbers, so that the error of their
    difference is that of paired samples.

    Args:
        oracle: (K, m) meta-gradients of the longest horizon.
        estimates: (K, n, m) meta-gradients, entry (k, i−1) the i-step one.
    """
    difference = (estimates - oracle[:, None]).astype(np.float64)
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    return Bias(difference.mean(axis=0), error)


def squared_bias(bias: Bias) -> Any:
    """Unbiased estimates of the squared bias; they may be negative until they are averaged.

    The squared mean of K samples exceeds the squared expectation by the squared standard error,
    the floor that Monte Carlo leaves; it is subtracted.
    """
    return bias.distance**2 - bias.error**2


def mean_defined(values: np.ndarray, *, axis: int) -> np.ndarray:
    """The mean of the finite entries along an axis; NaN where there is none, without a warning."""
    finite = np.isfinite(values)
    number = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
