"""How far shorter horizons are from a long one in the mean: the bias that truncation leaves."""

from typing import Any, NamedTuple

import numpy as np


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
    """Unbiased estimates of the squared bias, arrays as its parts are; they may be negative.

    The squared mean of K samples exceeds the squared expectation by the squared standard error,
    the floor that Monte Carlo leaves; it is subtracted. Averages over probes and parameters are
    taken before the root.
    """
    return bias.distance**2 - bias.error**2
