"""What makes the noise grow, and how much of the growth does each cut remove?"""

from collections.abc import Iterator, Sequence

import numpy as np

from hessdiag.analysis.configuration import Configuration, Row, find
from hessdiag.analysis.contest import SAME
from hessdiag.analysis.contradictions import contradictions
from hessdiag.analysis.mechanism import BOUNDED, COHERENCE, SINGLE
from hessdiag.analysis.moments import ALL, PHASES
from hessdiag.analysis.standings import Evidence, Standings
from hessdiag.analysis.words import deflating, factor, listed, percent, ratio


def mechanism(of: Configuration) -> Iterator[str]:
    """Sentences on explanations, cuts and sources."""
    contest = of.standings.contest
    if contest is not None:
        yield contest.reason + _yardstick(of.standings)
        yield from contradictions(contest.standings[0].label, of)
    yield from _silent(of.evidence)
    for cut, what in (
        ("no-hessian", "Cutting the Hessian path"),
        ("no-memory", "Cutting the optimiser's memory"),
        ("neither", "Cutting both"),
        (BOUNDED, _capitalised(deflating(find(of.cuts, when=ALL, cut=BOUNDED)))),
        ("as-sgd", "Differentiating as SGD"),
        ("trace", "Replacing the Jacobian by an accumulative trace"),
    ):
        found = [(phase, find(of.cuts, when=phase, cut=cut)) for phase in PHASES]
        parts = [f"{percent(row, 'removed')} {phase}" for phase, row in found if row]
        if parts:
            yield (
                f"{what} removes {listed(parts)} of the log-growth at "
                f"{of.cuts[0]['horizon']} steps."
            )
    yield from _sources([row for row in of.sources if row["when"] == ALL])
    sensitivity, growth = find(of.sensitivity, when=ALL), find(of.cuts, when=ALL, cut="full")
    if sensitivity is not None and growth is not None:
        yield (
            f"The norm of the derivative of θ in η, through which validation noise passes, is "
            f"{ratio(sensitivity, 'growth')} times that after one step; the standard deviation of "
            f"the meta-gradient {ratio(growth, 'growth')} times."
        )


def _silent(found: Evidence) -> Iterator[str]:
    """Which explanations speak of some probes only, so that they cannot be compared over all."""
    probes = len(found.measured)
    spoke = {
        name: int(np.isfinite(values).all(axis=1).sum()) for name, values in found.predicted.items()
    }
    some = [f"{name} ({count} of {probes})" for name, count in spoke.items() if 0 < count < probes]
    if some:
        yield f"Not compared, because they are not defined at every probe: {listed(some)}."


def _yardstick(made: Standings) -> str:
    """How close the measured sensitivity itself comes."""
    if made.yardstick is None:
        return ""
    own = made.yardstick.log_error
    closest = made.contest.standings[0].log_error if made.contest else None
    if closest is None or own.high < max(closest.low, SAME):
        meaning = "it is what noise of T passes through, and what E1 to E5 try to predict"
    elif own.low > closest.high:
        meaning = "noise of T is not alike in all directions that it passes through"
    else:
        meaning = "whether that is closer than the closest explanation is not decided"
    return (
        " The norm of the derivative of θ in η, measured instead of predicted, comes within a "
        f"factor of {factor(made.yardstick.log_error)}: {meaning}."
    )


def _sources(rows: Sequence[Row]) -> Iterator[str]:
    shares = [row for row in rows if row["source"] != COHERENCE and np.isfinite(row["share"])]
    whole = [row for row in shares if row["source"] != SINGLE]
    if whole:
        parts = listed(f"{percent(row, 'share')} come from {row['source']}" for row in whole)
        single = find(shares, source=SINGLE)
        alone = f", of which {percent(single, 'share')} from {SINGLE} alone" if single else ""
        yield f"Of the variance at the longest horizon, {parts}{alone}.{_beyond(shares)}"
    coherence = find(rows, source=COHERENCE)
    if coherence is not None and np.isfinite(coherence["share"]):
        size = ratio(coherence, "share")
        yield f"The terms' coherence is {size} (0: they vary independently; 1: as one)."


def _beyond(shares: Sequence[Row]) -> str:
    """A word on estimates outside what a share can be."""
    ends = [row[f"share{end}"] for row in shares for end in ("", "_low", "_high")]
    if all(0.0 <= end <= 1.0 for end in ends if np.isfinite(end)):
        return ""
    return " Shares are differences of covariances: noise may carry them below 0 or above 100 %."


def _capitalised(words: str) -> str:
    return words[0].upper() + words[1:]
