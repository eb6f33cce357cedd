"""What a practitioner should change: rules on intervals, so that noise gives no advice."""

from collections.abc import Iterator

import numpy as np

from hessdiag.analysis.configuration import Configuration, Row, find
from hessdiag.analysis.mechanism import BOUNDED
from hessdiag.analysis.moments import ALL
from hessdiag.analysis.words import percent, ratio

LITTLE = 0.25  # a share whose interval ends below, or of less size, is not worth working on
MUCH = 0.25  # one whose interval begins above is


def advice(of: Configuration) -> Iterator[str]:
    """Sentences, each with the interval that it stands on."""
    yield from _signal(of)
    yield from _curvature(of)
    yield from _memory(of)
    yield from _validation(of)


def _signal(of: Configuration) -> Iterator[str]:
    rows = [r for r in of.spread if r.get("when") == ALL and np.isfinite(r.get("signal", np.nan))]
    if not rows:
        return
    best, one = max(rows, key=_size), find(rows, horizon=1)
    others = [row for row in rows if row["horizon"] != best["horizon"]]
    rival = one if one and best["horizon"] != 1 else max(others, key=_size, default=None)
    beside = "" if rival is None else f", at {_at(rival)}"
    if all(best["signal_low"] > row["signal_high"] for row in others):
        verdict = "."
    elif rival is one and rival and best["signal_low"] > rival["signal_high"]:
        verdict = "; surely more than at one step, though not than at every other number of steps."
    else:
        verdict = "; the intervals overlap, so that this decides nothing."
    yield (
        f"A single meta-gradient has its highest signal-to-noise ratio at {_at(best)}{beside}"
        + verdict
    )


def _size(row: Row) -> float:
    return row["signal"]


def _at(row: Row) -> str:
    """A number of steps, and the ratio there; at one step all estimators are the same."""
    if row["horizon"] == 1:
        return f"one step ({ratio(row, 'signal')})"
    return f"{row['horizon']} steps ({row['estimator']}: {ratio(row, 'signal')})"


def _curvature(of: Configuration) -> Iterator[str]:
    """Of the whole Hessian, and of its unstable part: what amplifies may hide behind what damps."""
    row = find(of.cuts, when=ALL, cut="no-hessian")
    if row is None:
        return
    bounded = find(of.cuts, when=ALL, cut=BOUNDED)
    also = ""
    if bounded is not None:
        also = f", deflating the unstable eigenvalues found {percent(bounded, 'removed')}"
    cuts = [row, *([bounded] if bounded else [])]
    if row["removed_low"] > MUCH:
        yield (
            f"Curvature carries {percent(row, 'removed')} of the log-growth: a smaller "
            "inner learning rate, or deflating eigenvalues outside the stable interval, is where "
            "to begin."
        )
    elif bounded and bounded["removed_low"] > MUCH:
        yield (
            f"The unstable eigenvalues found carry {percent(bounded, 'removed')} of the "
            "log-growth, though cutting the whole Hessian path removes "
            f"{percent(row, 'removed')}: deflating them is where to begin."
        )
    elif row["removed_high"] < 0 and row["removed"] < -LITTLE:
        yield (
            f"Curvature damps: cutting the Hessian path removes {percent(row, 'removed')} of the "
            f"log-growth, that is, makes it larger{also}. Keep it."
        )
    elif all(cut["removed_high"] < LITTLE for cut in cuts):
        yield (
            "Taming curvature will not help much: cutting the whole Hessian path removes "
            f"{percent(row, 'removed')} of the log-growth{also}."
        )
    else:
        yield (
            f"Whether taming curvature helps is not decided: cutting the whole Hessian path "
            f"removes {percent(row, 'removed')} of the log-growth{also}."
        )


def _memory(of: Configuration) -> Iterator[str]:
    row = find(of.cuts, when=ALL, cut="no-memory")
    if row is not None and row["removed_low"] > MUCH:
        yield (
            f"The optimiser's memory carries {percent(row, 'removed')} of the log-growth: an inner "
            "optimiser with less of it, or differentiating without it, is where to begin; both "
            "change the mean of the meta-gradient, too."
        )


def _validation(of: Configuration) -> Iterator[str]:
    row = find(of.sources, when=ALL, source="validation trajectories")
    if row is not None and row["share_low"] > MUCH:
        yield (
            f"Validation trajectories make {percent(row, 'share')} of the variance: a larger "
            "validation batch, or a mix of horizons that each validate anew, lowers it."
        )
