"""What a practitioner should change: rules on intervals, so that noise gives no advice."""

from collections.abc import Iterator

import numpy as np

from hessdiag.results.configuration import Configuration, find
from hessdiag.results.moments import ALL
from hessdiag.results.words import percent, ratio

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
    best, one = max(rows, key=lambda row: row["signal"]), find(rows, horizon=1)
    highest = "A single meta-gradient has its highest signal-to-noise ratio at"
    if best["horizon"] == 1:
        yield f"{highest} one step ({ratio(best, 'signal')})."
        return
    beside = f", at one step {ratio(one, 'signal')}" if one else ""
    sure = one is None or best["signal_low"] > one["signal_high"]
    yield (
        f"{highest} {best['horizon']} steps ({best['estimator']}: {ratio(best, 'signal')}{beside})"
        + ("." if sure else "; the intervals overlap, so that this decides nothing.")
    )


def _curvature(of: Configuration) -> Iterator[str]:
    row = find(of.cuts, when=ALL, cut="no-hessian")
    if row is None:
        return
    if row["removed_low"] > MUCH:
        yield (
            f"Curvature carries {percent(row, 'removed')} of the log-growth: a smaller "
            "inner learning rate, or deflating eigenvalues outside the stable interval, is where "
            "to begin."
        )
    elif row["removed_high"] < 0 and row["removed"] < -LITTLE:
        yield (
            f"Curvature damps: cutting the Hessian path removes {percent(row, 'removed')} of the "
            "log-growth, that is, makes it larger. Keep it."
        )
    elif row["removed_high"] < LITTLE:
        yield (
            "Taming curvature will not help: cutting the whole Hessian path removes "
            f"{percent(row, 'removed')} of the log-growth."
        )
    else:
        yield f"Whether taming curvature helps is not decided: {percent(row, 'removed')}."


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
