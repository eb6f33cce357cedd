"""Which explanation predicts the measured growth best over many probes, and whether it is sure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hessdiag.variance.bootstrap import Interval
from hessdiag.variance.clusters import cluster_draws, coinciding, members, percentile_interval

SURE = 0.95  # share of resamples that a winner must win
CLOSE = np.log(1.25)  # rms log-error up to which a prediction counts as one of the size, too
SAME = 0.01  # relative difference of two predictions that no probe can resolve
FEWEST = 3  # clusters: resampling fewer says nothing


class Standing(NamedTuple):
    """How one explanation fares against the measured growth."""

    label: str
    log_error: Interval  # rms of log(predicted / measured)
    bias: Interval  # mean of log(predicted / measured): its calibration
    wins: float  # share of the resamples in which its log-error is the smallest
    same_as: tuple[str, ...]  # others whose predictions cannot be told from its own


class Contest(NamedTuple):
    """All explanations, best first, and the verdict."""

    standings: list[Standing]
    winners: tuple[str, ...]  # several where their predictions coincide; none if not decided
    reason: str  # a sentence


def contest(
    measured: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    clusters: Sequence[int],
    *,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Contest | None:
    """Compare explanations on the logarithm of the growth, resampling whole clusters.

    Probes of one run are not independent: runs (seeds) are what is resampled. An explanation wins
    if its log-error is the smallest in nearly all resamples and small enough to speak of the size,
    and if no other with different predictions does as well.

    Args:
        measured: (P, H) growth at P probes and H horizons beyond the first.
        predicted: by label, (P, H); explanations with entries that are not finite are left out.
        clusters: the run of every probe.
        confidence: level of the intervals.
        resamples: bootstrap resamples.
        rng: randomness of the bootstrap.

    Returns:
        None where there is nothing to compare.
    """
    labels = [name for name, values in predicted.items() if np.isfinite(values).all()]
    usable = np.isfinite(measured).all() and (measured > 0).all() and measured.size > 0
    if not labels or not usable:
        return None
    errors = np.stack([np.log(predicted[name] / measured).mean(axis=1) for name in labels])
    squares = np.stack([(np.log(predicted[name] / measured) ** 2).mean(axis=1) for name in labels])
    groups = members(np.asarray(clusters))
    chosen = cluster_draws(np.asarray(clusters), resamples, rng)
    draws = [np.concatenate([groups[k] for k in draw]) for draw in chosen]
    rms = np.sqrt(np.stack([squares[:, draw].mean(axis=1) for draw in draws]))
    bias = np.stack([errors[:, draw].mean(axis=1) for draw in draws])
    same = coinciding({name: predicted[name] for name in labels}, tolerance=SAME)
    best = rms.argmin(axis=1)
    wins = [
        float(np.mean([labels[winner] in (name, *same[name]) for winner in best]))
        for name in labels
    ]
    standings = [
        Standing(
            name,
            percentile_interval(np.sqrt(squares[k].mean()), rms[:, k], confidence),
            percentile_interval(errors[k].mean(), bias[:, k], confidence),
            wins[k],
            same[name],
        )
        for k, name in enumerate(labels)
    ]
    standings.sort(key=lambda standing: float(standing.log_error.value))
    return Contest(standings, *_verdict(standings, len(set(clusters))))


def _verdict(standings: list[Standing], clusters: int) -> tuple[tuple[str, ...], str]:
    first = standings[0]
    error = float(np.exp(first.log_error.value))
    beside = f"{first.label} comes closest, within a factor of {error:.2f} (rms)"
    if clusters < FEWEST:
        return (), f"Not decided: {clusters} runs are too few to resample. {beside}."
    if first.wins < SURE:
        return (), (
            f"Not decided: {beside}, but in {100 * (1 - first.wins):.0f} % of the resamples "
            "another explanation does."
        )
    if first.log_error.low > CLOSE:
        return (), (
            f"Not decided: {beside}, which is further than a factor of {np.exp(CLOSE):.2f}; none "
            "of the explanations considered predicts the size."
        )
    winners = (first.label, *first.same_as)
    tie = (
        f"; its predictions cannot be told from those of {' and '.join(first.same_as)}"
        if first.same_as
        else ""
    )
    return winners, (
        f"{beside}, and does so in {100 * first.wins:.0f} % of the resamples of {clusters} "
        f"runs{tie}."
    )
