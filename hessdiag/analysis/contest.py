"""Which explanation predicts the measured growth best over many probes, and whether it is sure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack

import numpy as np
from scipy.special import stdtrit

from hessdiag.statistics.bootstrap import Interval, Resampling
from hessdiag.statistics.clusters import bootstrap_t_interval, cluster_draws, coinciding, members

SURE = 0.95  # confidence at which a winner must be closer than each of its rivals
CLOSE = np.log(1.25)  # rms log-error up to which a prediction counts as one of the size, too
SAME = 0.01  # relative difference of two predictions that no probe can resolve
FEWEST = 3  # clusters: two have no spread to speak of
MOST = 200  # clusters beyond which nobody would wait


class Standing(NamedTuple):
    """How one explanation fares against the measured growth."""

    label: str
    log_error: Interval  # rms of log(predicted / measured)
    bias: Interval  # mean of log(predicted / measured): its calibration
    wins: float  # share of the resamples in which its log-error is the smallest
    same_as: tuple[str, ...]  # others whose predictions cannot be told from its own
    beaten: bool  # paired by run, the closest is surely closer, chosen among all as it was


class Contest(NamedTuple):
    """All explanations, best first, and the verdict."""

    standings: list[Standing]
    winners: tuple[str, ...]  # several where their predictions coincide; none if not decided
    reason: str  # "closest"; or why not: "too-few-runs", "not-closer", "too-far"
    rivals: tuple[str, ...]  # that the closest is not surely closer than
    runs: float  # that would tell it from them, at this scatter; NaN where none would


def is_size(values: np.ndarray) -> bool:
    """Whether all values have a logarithm."""
    return bool((np.isfinite(values) & (values > 0)).all())


def contest(
    measured: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    clusters: Sequence[int],
    *,
    noise: float = 0.0,
    **how: Unpack[Resampling],
) -> Contest | None:
    """Compare explanations on the logarithm of the growth, resampling whole clusters.

    Probes of one run are not independent: runs (seeds) are what is resampled and compared. An
    explanation wins if its log-error is the smallest and small enough to speak of the size, and if
    paired by run its mean squared log-error is below that of every other with different
    predictions, by Student's t. One that the closest is surely below, allowing for its having been
    chosen as the closest, is beaten, also where nothing wins. Resampling alone would decide too
    often: of three runs, one resample in nine holds a single one.

    Args:
        measured: (P, H) growth at P probes and H horizons beyond the first.
        predicted: by label, (P, H); explanations with entries that are not finite are left out.
        clusters: the run of every probe.
        noise: rms standard error of log(measured), of which no explanation can be freed: it adds to
            how far the closest may be and still speak of the size.
        how: level of the intervals, resamples and their randomness.

    Returns:
        None where there is nothing to compare.
    """
    labels = [name for name, values in predicted.items() if np.isfinite(values).all()]
    if not labels or not measured.size or not is_size(measured):
        return None
    groups = members(np.asarray(clusters))
    logs = {name: np.log(predicted[name] / measured) for name in labels}
    squares = {name: _by_cluster(values**2, groups) for name, values in logs.items()}
    first = min(labels, key=lambda name: squares[name].mean())
    same = coinciding({name: predicted[name] for name in labels}, tolerance=SAME)
    closest = (first, *same[first])
    further = {name: squares[name] - squares[first] for name in labels if name not in closest}
    beaten = {name for name, apart in further.items() if _surely_positive(apart, len(labels))}
    draws = cluster_draws(np.asarray(clusters), how["resamples"], how["rng"])
    standings = _standings(logs, squares, groups, draws, same, beaten, how["confidence"])
    alike = {name: apart for name, apart in further.items() if not _surely_positive(apart)}
    ordered = tuple(standing.label for standing in standings if standing.label in alike)
    reason = _reason(standings[0], bool(alike), len(groups), noise)
    winners = (standings[0].label, *standings[0].same_as) if reason == "closest" else ()
    runs = max((_clusters_to_tell(apart) for apart in alike.values()), default=np.nan)
    return Contest(standings, winners, reason, ordered, runs)


def _standings(logs, squares, groups, draws, same, beaten, confidence: float) -> list[Standing]:
    """Of every explanation, the closest first."""
    errors = {name: _by_cluster(values, groups) for name, values in logs.items()}
    rms = {name: np.sqrt(values[draws].mean(axis=1)) for name, values in squares.items()}
    best = np.array([*rms])[np.stack([*rms.values()]).argmin(axis=0)]
    options = (len(groups), confidence)
    standings = [
        Standing(
            name,
            bootstrap_t_interval(
                np.sqrt(squares[name].mean()), rms[name], *options, scale=_log, back=np.exp
            ),
            bootstrap_t_interval(errors[name].mean(), errors[name][draws].mean(axis=1), *options),
            float(np.isin(best, [name, *same[name]]).mean()),
            same[name],
            name in beaten,
        )
        for name in logs
    ]
    return sorted(standings, key=lambda standing: float(standing.log_error.value))


def _by_cluster(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """(C,) the mean over the probes and horizons of each cluster."""
    return np.array([values[group].mean() for group in groups])


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, np.finfo(np.float64).tiny))


def _reason(closest: Standing, is_tied: bool, clusters: int, noise: float) -> str:
    if clusters < FEWEST:
        return "too-few-runs"
    if is_tied:
        return "not-closer"
    return "too-far" if closest.log_error.low > np.hypot(CLOSE, noise) else "closest"


def _clusters_to_tell(differences: np.ndarray) -> float:
    """How many clusters with this mean and scatter Student's interval would lie above zero with."""
    mean, deviation = differences.mean(), differences.std(ddof=1) if len(differences) > 1 else 0.0
    counts = np.arange(FEWEST, MOST)
    enough = counts[mean > _reach(deviation, counts)]
    return float(enough[0]) if enough.size and mean > 0 and deviation > 0 else np.nan


def _reach(deviation: float, count: np.ndarray | int, among: int = 2) -> np.ndarray:
    """How far Student's interval of a mean of so many reaches to each side."""
    tail = (1.0 - SURE) / 2.0 / max(among - 1, 1)
    return stdtrit(count - 1, 1.0 - tail) * deviation / np.sqrt(count)


def _surely_positive(differences: np.ndarray, among: int = 2) -> bool:
    """Whether Student's interval of the mean of all clusters lies above zero; never with too few.

    The better one was chosen among so many explanations for being the best: Bonferroni's correction
    is for all that it might have been compared with.
    """
    count = len(differences)
    if count < FEWEST:
        return False
    return bool(differences.mean() > _reach(differences.std(ddof=1), count, among))
