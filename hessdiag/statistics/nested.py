"""Where the variance of a meta-gradient comes from: validation, inner trajectories, single steps.

By the law of total variance, Var = E[Var(· | inner)] + Var(E[· | inner]), given the inner
trajectories. Pairs of meta-gradients that share some of their randomness estimate each part without
bias: the covariance of a pair is the variance of the expectation given what it shares.
"""

from collections.abc import Sequence
from typing import NamedTuple, Unpack

import numpy as np

from hessdiag.statistics.bootstrap import Interval, Resampling, bca_interval
from hessdiag.statistics.growth import mean_defined


class Shares(NamedTuple):
    """Parts of the variance, shares as means over meta-parameters; intervals over the K samples."""

    validation: Interval  # (n,): E[Var(· | inner trajectories)] over the total
    inner: Interval  # (n,): Var(E[· | inner trajectories]) over the total
    steps: Interval  # (n, n): entry (i−1, j): Var(E[· | τ^(j)]) over the total; NaN for j ≥ i
    std: Interval  # (n, m): root of the sum of both parts, as an independent sample's would be


def nested_shares(pairs: np.ndarray, sharing_one: np.ndarray, **how: Unpack[Resampling]) -> Shares:
    """Shares of the variance by source of randomness.

    Shares of validation and inner trajectories are of their sum, which is the total of the same
    pairs: whether it is the variance of independent samples is for `std` to say. Those of single
    steps need not reach the share of all inner trajectories: the rest is interaction between steps.

    Args:
        pairs: (K, 2, n, m) i-step meta-gradients; a pair shares its inner trajectories.
        sharing_one: (K, n, n, m), entry (k, j): drawn anew but for τ^(j), shared with pair k.
        how: level of the intervals, resamples of the bootstrap and their randomness.
    """
    n = pairs.shape[2]
    packed = np.concatenate([pairs, sharing_one], axis=1).astype(np.float64)

    def statistic(samples: np.ndarray) -> np.ndarray:
        centred = samples - samples.mean(axis=0)
        first, second, others = centred[:, 0], centred[:, 1], centred[:, 2:]
        freedom = len(samples) - 1
        inner = (first * second).sum(axis=0) / freedom
        validation = 0.5 * ((first - second) ** 2).sum(axis=0) / freedom
        single = (0.5 * (first + second)[:, None] * others).sum(axis=0) / freedom  # (step, i, m)
        total = validation + inner
        parts = np.concatenate([validation[None], inner[None], single])
        varying = total > 0
        shares = np.where(varying, parts / np.where(varying, total, 1.0), np.nan)
        return mean_defined(shares, axis=-1).T  # (i, part)

    def std(samples: np.ndarray) -> np.ndarray:
        first, second = np.moveaxis(samples - samples.mean(axis=0), 1, 0)
        return np.sqrt(0.5 * (first**2 + second**2).sum(axis=0) / (len(samples) - 1))

    whole = bca_interval(statistic, packed, **how)
    later = np.arange(n)[None, :] >= np.arange(1, n + 1)[:, None]  # steps after the horizon
    return Shares(
        whole.map(lambda part: part[:, 0]),
        whole.map(lambda part: part[:, 1]),
        whole.map(lambda part: np.where(later, np.nan, part[:, 2:])),
        bca_interval(std, pairs.astype(np.float64), **how),
    )


def share_of_draws(means: np.ndarray, draws: Sequence[int], **how: Unpack[Resampling]) -> Interval:
    """The share of validation trajectories in the variance, from means over several draws of them.

    With B the variance within an unroll, the means over its first R and its first 2R draws differ
    by B / 2R in the mean square, whatever the inner trajectories; what is left of the variance of
    the last mean without B over the number of its draws is theirs.

    Args:
        means: (K, r, m) meta-gradients over the first `draws` validation trajectories.
        draws: r numbers of draws, each twice the one before, the first of them one.
        how: level of the interval, resamples of the bootstrap and their randomness.

    Returns:
        The mean over meta-parameters, with its interval over the K samples; NaN if none varies.
    """
    scales = np.asarray(draws[1:], dtype=float)[:, None]

    def statistic(samples: np.ndarray) -> np.ndarray:
        apart = samples[:, :-1] - samples[:, 1:]
        within = (scales * (apart**2).mean(axis=0)).mean(axis=0)
        between = samples[:, -1].var(axis=0, ddof=1) - within / draws[-1]
        total = within + between
        share = np.where(total > 0, within / np.where(total > 0, total, 1.0), np.nan)
        return mean_defined(share, axis=-1)

    return bca_interval(statistic, means.astype(np.float64), **how)
