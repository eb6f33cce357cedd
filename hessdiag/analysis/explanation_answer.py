"""Does the published explanation hold: as printed, and with what the optimiser really applies?"""

from collections.abc import Iterator, Sequence

import numpy as np

from hessdiag.analysis.configuration import Configuration, find
from hessdiag.analysis.contest import Contest, Standing
from hessdiag.analysis.contradictions import contradictions
from hessdiag.analysis.mechanism import BOUNDED
from hessdiag.analysis.moments import ALL
from hessdiag.analysis.words import deflating, factor, listed, percent, span
from hessdiag.probes.explanations import SPECTRAL

ACCUMULATION = "E3 accumulation, coherent"


def explanation(of: Configuration) -> Iterator[str]:
    """Sentences on the published explanation."""
    yield f"{_radii(of)} {_reach(of)} {_verdict(of)}"
    yield from _deflation(of)
    yield from _optimiser(of)
    yield from _under_the_optimiser(of)


def _radii(of: Configuration) -> str:
    paper = find(of.curvature, when=ALL, operator="paper, I + H")
    if paper is None:
        return "No spectrum was measured."
    return (
        f"The spectral radius of I + H_j exceeds one by {paper['largest']:.2g} ± "
        f"{paper['largest_error']:.1g} at the most (median {paper['median']:.2g}); it is certainly "
        f"above one in {paper['above_one']} of {paper['spectra']} spectra, undecided in "
        f"{paper['undecided']}."
    )


def _reach(of: Configuration) -> str:
    """How much of the growth the radii can speak for."""
    predicted = of.evidence.predicted.get(SPECTRAL)
    if predicted is None or not np.isfinite(predicted).all():
        return ""
    n, at, measured = of.evidence.horizons[-1], predicted[:, -1], of.evidence.measured[:, -1]
    share = np.median(np.log(at / n) / np.log(measured))
    return (
        f"E1 predicts that {n} steps multiply the standard deviation by {span(at)}, of which the "
        f"number of terms alone is {n} and the radii are a factor of {np.median(at) / n:.6g} "
        f"({100 * share:.2g} % of the measured log-growth, median); measured is {span(measured)}."
    )


def _verdict(of: Configuration) -> str:
    contest = of.standings.contest
    if contest is None:
        return "Not decided: nothing can be compared."
    standing = next((s for s in contest.standings if s.label == SPECTRAL), None)
    if standing is None:
        return "Not decided: its prediction is not known at every probe."
    if ACCUMULATION in standing.same_as:
        return (
            "The published explanation is not what makes the difference here: its prediction "
            "cannot be told from mere accumulation of the terms (E3, coherent), with every product "
            "the identity."
        )
    if SPECTRAL in contest.winners:
        against = " ".join(contradictions(SPECTRAL, of))
        if against:
            return f"The published explanation predicts the size, as close as any other. {against}"
        return "The published explanation holds here: no other comes closer."
    if contest.winners or standing.beaten:
        return f"The published explanation does not hold here: {_closer(contest)}."
    return f"Whether it holds is not decided. {contest.reason}"


def _closer(contest: Contest) -> str:
    return f"{contest.standings[0].label} is surely closer"


def _deflation(of: Configuration) -> Iterator[str]:
    """What the instability that the paper names makes of the growth, by taking it away."""
    row = find(of.cuts, when=ALL, cut=BOUNDED)
    if row is not None:
        yield (
            f"Part of the paper's instability taken away: {deflating(row)} removes "
            f"{percent(row, 'removed')} of the log-growth at {row['horizon']} steps."
        )


def _optimiser(of: Configuration) -> Iterator[str]:
    rows = [row for row in of.curvature if row["when"] == ALL and row["operator"] != "paper, I + H"]
    radii = [row for row in rows if row["quantity"] == "spectral radius"]
    norms = [row for row in rows if row["quantity"] != "spectral radius"]
    if radii:
        yield (
            "The largest distance of a spectral radius from one, to first order, "
            "of the operators that the optimiser really applies is "
            + listed(
                f"{row['largest']:.2g} ± {row['largest_error']:.1g} ({row['operator']})"
                for row in radii
            )
            + "."
        )
    if norms:
        yield (
            "The norm of the longest product exceeds one by at most "
            + listed(
                f"{row['largest']:.2g} ± {row['largest_error']:.1g} ({row['operator']})"
                for row in norms
            )
            + "."
        )


def _under_the_optimiser(of: Configuration) -> Iterator[str]:
    """How the paper's explanation fares when read with the operators that really act."""
    contest = of.standings.contest
    if contest is None:
        return
    readings = [
        one
        for one in contest.standings
        if one.label.startswith(("E1", "E2")) and "paper" not in one.label and one.label != SPECTRAL
    ]
    if not readings:
        return
    errors = listed(f"{factor(one.log_error)} ({one.label})" for one in readings)
    yield (
        "Read with the operators that the optimiser applies, its predictions are off by a factor "
        f"of {errors}, and those of the closest explanation by "
        f"{factor(contest.standings[0].log_error)} ({contest.standings[0].label}; rms). "
        + _read_so(readings, contest, of)
    )


def _read_so(readings: Sequence[Standing], contest: Contest, of: Configuration) -> str:
    """Whether any of these readings of the paper's explanation holds."""
    telling = [one for one in readings if ACCUMULATION not in one.same_as]
    if not telling:
        return "So read, they cannot be told from mere accumulation of the terms either."
    winners = [one.label for one in telling if one.label in contest.winners]
    against = [" ".join(contradictions(label, of)) for label in winners]
    if winners and all(against):
        return f"So read, it predicts the size, as close as any other. {against[0]}"
    if winners:
        return "So read, it holds: no other comes surely closer."
    if contest.winners or all(one.beaten for one in telling):
        return f"So read, it does not hold either: {_closer(contest)}."
    return "Whether it holds so read is not decided."
