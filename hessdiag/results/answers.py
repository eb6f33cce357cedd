"""The questions that a mechanism study settles, answered from its rows; nothing is hand-written."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hessdiag.results.advice import advice
from hessdiag.results.configuration import Configuration, Row, find
from hessdiag.results.contradictions import contradictions
from hessdiag.results.mechanism import BOUNDED, COHERENCE, SINGLE
from hessdiag.results.moments import ALL, PHASES
from hessdiag.results.standings import Evidence, Standings
from hessdiag.results.words import factor, listed, percent, ratio, span
from hessdiag.variance import SPECTRAL, Contest, Standing
from hessdiag.variance.contest import SAME

ACCUMULATION = "E3 accumulation, coherent"


def answers(configurations: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Every question with its answers, a sentence each, and the figures that show them."""
    asked = (
        ("Does the published explanation hold?", _published, ("curvature", "calibration")),
        (
            "What does, and how much of the growth does each cut remove?",
            _mechanism,
            ("cuts", "sources", "terms", "calibration"),
        ),
        ("What does mixing do?", _mixing, ("mixing",)),
        ("What should a practitioner change?", advice, ("signal", "cuts", "sources")),
    )
    made = []
    for question, answer, figures in asked:
        parts = [{"configuration": one.name, "sentences": [*answer(one)]} for one in configurations]
        parts = [part for part in parts if part["sentences"]]
        if parts:
            made.append({"question": question, "parts": parts, "figures": [*figures]})
    return made


def _published(of: Configuration) -> Iterator[str]:
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
    if predicted is None:
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
    if standing.beaten:
        return f"The published explanation does not hold here: {_closer(contest)}."
    return f"Whether it holds is not decided. {contest.reason}"


def _closer(contest: Contest) -> str:
    return f"{contest.standings[0].label} is surely closer"


def _deflation(of: Configuration) -> Iterator[str]:
    """What the instability that the paper names makes of the growth, by taking it away."""
    row = find(of.cuts, when=ALL, cut=BOUNDED)
    if row is not None:
        yield (
            f"The paper's instability taken away: {_lowered(_deflating(of.cuts))} removes "
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
    if all(one.beaten for one in telling):
        return f"So read, it does not hold either: {_closer(contest)}."
    return "Whether it holds so read is not decided."


def _mechanism(of: Configuration) -> Iterator[str]:
    contest = of.standings.contest
    if contest is not None:
        yield contest.reason + _yardstick(of.standings)
        yield from contradictions(contest.standings[0].label, of)
    yield from _silent(of.evidence)
    for cut, what in (
        ("no-hessian", "Cutting the Hessian path"),
        ("no-memory", "Cutting the optimiser's memory"),
        ("neither", "Cutting both"),
        (BOUNDED, _deflating(of.cuts)),
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


def _lowered(words: str) -> str:
    return words[0].lower() + words[1:]


def _deflating(cuts: Sequence[Row]) -> str:
    """The cut that bounds the Hessian, and how much of it that is."""
    row = find(cuts, when=ALL, cut=BOUNDED)
    found = row.get("left_out") if row else None
    if found is None:
        return "Deflating eigenvalues of H outside the stable interval"
    return (
        "Deflating those eigenvalues of H outside the stable interval that were found, "
        f"{found:.2g} of each Hessian on average,"
    )


def _yardstick(made: Standings) -> str:
    """How close the measured sensitivity itself comes."""
    if made.yardstick is None:
        return ""
    closest = made.contest.standings[0].log_error.value if made.contest else np.inf
    meaning = (
        "it is what noise of T passes through, and what E1 to E5 try to predict"
        if made.yardstick.log_error.value < max(closest, SAME)
        else "noise of T is not alike in all directions that it passes through"
    )
    return (
        " The norm of the derivative of θ in η, measured instead of predicted, comes within a "
        f"factor of {factor(made.yardstick.log_error)}: {meaning}."
    )


def _sources(rows: Sequence[Row]) -> Iterator[str]:
    shares = [row for row in rows if row["source"] != COHERENCE]
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


def _mixing(of: Configuration) -> Iterator[str]:
    at = {row["curve"]: row for row in _longest(of.mixing)}
    if {"n-step", "mix"} <= at.keys():
        yield (
            f"At {at['mix']['horizon']} steps the standard deviation is "
            f"{ratio(at['n-step'], 'growth')} times that of one step for the n-step "
            f"meta-gradient, and {ratio(at['mix'], 'growth')} times for the mix. The average of "
            f"the same horizons would have {ratio(at['mix if independent'], 'growth')} if their "
            f"noise were independent, and {ratio(at['mix if coherent'], 'growth')} if it were one "
            f"and the same. The mix validates {at['mix']['horizon']} times, the n-step "
            "meta-gradient once."
        )


def _longest(rows: Sequence[Row]) -> list[Row]:
    """The rows of all of training at the longest horizon."""
    whole = [row for row in rows if row["when"] == ALL]
    longest = max((row["horizon"] for row in whole), default=0)
    return [row for row in whole if row["horizon"] == longest]
