"""What the cuts of a counterfactual study remove of the growth, and how the terms add up."""

from typing import NamedTuple, Unpack

import numpy as np

from hessdiag.statistics.bootstrap import Interval, Resampling, bca_interval_of_moments
from hessdiag.statistics.growth import mean_defined, std_ratio


class CutGrowth(NamedTuple):
    """Growth under each cut; arrays (paths, horizons), the first path being the full one."""

    growth: Interval  # std over the 1-step std under the same cut, averaged over meta-parameters
    removed: Interval  # 1 − log r_cut / log r: share of the logarithm of the growth that is removed


def cut_growth(meta_gradients: np.ndarray, **how: Unpack[Resampling]) -> CutGrowth:
    """Growth of the standard deviation under each cut, and the share of it that the cut removes.

    All cuts and horizons of one sample share their random numbers, and are resampled together.
    The share is NaN where the full growth is one.

    Args:
        meta_gradients: (K, paths, horizons, m); horizon 0 is one step, path 0 is the full one.
        how: level of the intervals, resamples and their randomness.
    """

    def statistic(_: np.ndarray, std: np.ndarray) -> np.ndarray:
        ratio = std_ratio(std)[..., varying]  # (…, paths, horizons, m)
        is_known = varying.any()
        growth = ratio.mean(axis=-1) if is_known else np.full(ratio.shape[:-1], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            removed = 1.0 - np.log(growth) / np.log(growth[..., :1, :])
        return np.stack([growth, np.where(np.isfinite(removed), removed, np.nan)], axis=-3)

    samples = meta_gradients.astype(np.float64)
    varying = (samples[:, :, 0].std(axis=0) > 0).all(axis=0)
    whole = bca_interval_of_moments(statistic, samples, **how)
    return CutGrowth(whole.map(lambda part: part[0]), whole.map(lambda part: part[1]))


class Coherence(NamedTuple):
    """How the terms of one meta-gradient vary together."""

    covariance: np.ndarray  # (horizons, n, n, m) of the terms
    coherence: Interval  # (horizons,): 0 for uncorrelated terms, 1 for perfectly aligned ones


def coherence(contributions: np.ndarray, **how: Unpack[Resampling]) -> Coherence:
    """Covariances of the terms of eq. 11, and their coherence.

    The coherence is the sum of the covariances over what it would be if all correlations were one,
    averaged over meta-parameters; it is NaN where there is a single term.

    Args:
        contributions: (K, horizons, n, m), terms beyond a horizon being zero.
        how: level of the intervals, resamples and their randomness.
    """
    samples = contributions.astype(np.float64)

    def statistic(_: np.ndarray, std: np.ndarray) -> np.ndarray:
        terms, total = std[..., :-1, :], std[..., -1, :]  # (…, horizons, n, m), (…, horizons, m)
        alone = (terms**2).sum(axis=-2)
        aligned = terms.sum(axis=-2) ** 2
        room = aligned - alone
        several = room > 1e-12 * aligned
        shares = np.where(several, (total**2 - alone) / np.where(several, room, 1.0), np.nan)
        return mean_defined(shares, axis=-1)

    with_sum = np.concatenate([samples, samples.sum(axis=2, keepdims=True)], axis=2)
    centred = samples - samples.mean(axis=0)
    covariance = np.einsum("khim,khjm->hijm", centred, centred) / (len(samples) - 1)
    return Coherence(covariance, bca_interval_of_moments(statistic, with_sum, **how))
