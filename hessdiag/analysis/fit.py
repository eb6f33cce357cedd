"""How predictions follow the measured growth over probes and horizons, alone and jointly.

Everything is on logarithms: an explanation that holds has slope one and a coefficient of
determination near one. Intervals resample whole runs.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack

import numpy as np
from scipy.stats import rankdata

from hessdiag.analysis.contest import SAME, is_size
from hessdiag.statistics.bootstrap import Interval, Resampling
from hessdiag.statistics.clusters import bootstrap_t_interval, cluster_draws, coinciding, members
from hessdiag.statistics.least_squares import FLAT, gram, pooled, solved, within

CERTAIN = 1.0 - 1e-9  # a correlation of one would lie infinitely far out
AT_ONCE = 1_000_000  # values that are ranked together: bounds memory


def _fisher(correlation: np.ndarray) -> np.ndarray:
    """To Fisher's scale, where a correlation's spread does not depend on it."""
    return np.arctanh(np.clip(correlation, -CERTAIN, CERTAIN))


_CORRELATION = {"scale": _fisher, "back": np.tanh}
_SHARE = {  # a coefficient of determination is the square of a correlation
    "scale": lambda share: _fisher(np.sqrt(np.maximum(share, 0.0))),
    "back": lambda z: np.tanh(np.maximum(z, 0.0)) ** 2,
}


class Fit(NamedTuple):
    """How one prediction follows the measurement."""

    label: str
    slope: Interval  # of log(measured) on log(predicted)
    r_squared: Interval
    r_squared_within: Interval  # between probes, each horizon's means taken out
    rank: Interval  # Spearman's correlation over probes and horizons
    rank_at_longest: Interval  # over probes, at the longest horizon


class JointFit(NamedTuple):
    """All distinguishable predictions together, by least squares of smallest norm."""

    labels: tuple[str, ...]
    coefficients: Interval  # (L,) of the logarithms of the predictions
    r_squared: Interval


def fits(
    measured: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    clusters: Sequence[int],
    **how: Unpack[Resampling],
) -> tuple[list[Fit], JointFit | None]:
    """Regress the measured growth on every prediction, and on all of them.

    Args:
        measured: (P, H) growth at P probes and H horizons beyond the first.
        predicted: by label, (P, H); those with entries that are not finite are left out.
        clusters: the run of every probe.
        how: level of the intervals, resamples and their randomness.

    Returns:
        A fit per prediction, and the joint one; nothing where there is nothing to fit. A slope
        or a correlation with something that does not vary is NaN.
    """
    usable = {name: values for name, values in predicted.items() if is_size(values)}
    if not usable or not measured.size or not is_size(measured):
        return [], None
    groups = members(np.asarray(clusters))
    draws = cluster_draws(np.asarray(clusters), how["resamples"], how["rng"])
    logs, y = {name: np.log(values) for name, values in usable.items()}, np.log(measured)
    alone = [_fit(name, x, y, groups, draws, how["confidence"]) for name, x in logs.items()]
    return alone, _joint(usable, y, groups, draws, how["confidence"])


def _fit(label, x, y, groups, draws, confidence: float) -> Fit:
    number = len(groups)
    grams = np.stack([gram(x[group][..., None], y[group]) for group in groups])
    resampled, whole = grams[draws].sum(axis=1), grams.sum(axis=0)
    slopes, shares = solved(pooled(resampled))
    slope, share = solved(pooled(whole))
    between, of_resamples = solved(within(whole))[1], solved(within(resampled))[1]

    def rank(values: np.ndarray, other: np.ndarray) -> Interval:
        whole = _spearman(values.reshape(1, -1), other.reshape(1, -1))[0]
        resampled = _resampled_ranks(values, other, groups, draws)
        return bootstrap_t_interval(whole, resampled, number, confidence, **_CORRELATION)

    return Fit(
        label,
        bootstrap_t_interval(slope[0], slopes[:, 0], number, confidence),
        bootstrap_t_interval(share, shares, number, confidence, **_SHARE),
        bootstrap_t_interval(between, of_resamples, number, confidence, **_SHARE),
        rank(x, y),
        rank(x[:, -1:], y[:, -1:]),
    )


def _joint(usable, y, groups, draws, confidence: float) -> JointFit | None:
    same = coinciding(usable, tolerance=SAME)
    labels: list[str] = []
    for name in usable:
        if not set(same[name]) & set(labels):
            labels.append(name)
    x = np.stack([np.log(usable[name]) for name in labels], axis=-1)
    grams = np.stack([gram(x[group], y[group]) for group in groups])
    coefficients, shares = solved(pooled(grams[draws].sum(axis=1)))
    coefficient, share = solved(pooled(grams.sum(axis=0)))
    return JointFit(
        tuple(labels),
        bootstrap_t_interval(coefficient, coefficients, len(groups), confidence),
        bootstrap_t_interval(share, shares, len(groups), confidence, **_SHARE),
    )


def _resampled_ranks(x, y, groups: list[np.ndarray], draws: np.ndarray) -> np.ndarray:
    """(R,) Spearman's correlation in every resample; few clusters have few different resamples."""
    sets, places = np.unique(np.sort(draws, axis=1), axis=0, return_inverse=True)
    members = [np.concatenate([groups[cluster] for cluster in chosen]) for chosen in sets]
    values = np.full(len(sets), np.nan)
    sizes = np.array([len(probes) for probes in members])
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        for part in np.array_split(alike, -(-len(alike) * size * x.shape[1] // AT_ONCE)):
            probes = np.stack([members[k] for k in part])
            values[part] = _spearman(*(of[probes].reshape(len(part), -1) for of in (x, y)))
    return values[places.ravel()]


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(R,) of the rows of two matrices (R, N)."""
    varies = (np.ptp(x, axis=1) > FLAT * np.abs(x).max(axis=1)) & (np.ptp(y, axis=1) > 0)
    ranks = [rankdata(values, axis=1) for values in (x, y)]
    u, v = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    scale = np.sqrt((u**2).sum(axis=1) * (v**2).sum(axis=1))
    is_defined = varies & (x.shape[1] >= 3)
    return np.where(is_defined, (u * v).sum(axis=1) / np.where(is_defined, scale, 1.0), np.nan)
