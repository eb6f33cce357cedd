"""The questions that a mechanism study settles, answered from its rows; nothing is hand-written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hessdiag.results.mechanism import COHERENCE
from hessdiag.results.moments import ALL, PHASES
from hessdiag.results.standings import Evidence, Standings
from hessdiag.results.words import listed, percent, ratio, span

SPECTRAL = "E1 spectral radius"
ACCUMULATION = "E3 accumulation, coherent"
NEGLIGIBLE = 0.05  # share of the log-growth below which a cut counts as removing nothing
MOST = 0.5  # share from which a cut or a source counts as the greater part

Row = Mapping[str, Any]


class Configuration(NamedTuple):
    """What is known of one configuration."""

    name: str
    evidence: Evidence
    standings: Standings
    curvature: Sequence[Row]
    cuts: Sequence[Row]
    sources: Sequence[Row]
    sensitivity: Sequence[Row]
    mixing: Sequence[Row]
    spread: Sequence[Row]


def answers(configurations: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Every question with its answers, a sentence each, and the figure that shows them."""
    asked = (
        ("Does the published explanation hold?", _published, "calibration"),
        ("What does, and how much of the growth does each cut remove?", _mechanism, "cuts"),
        ("What does mixing do?", _mixing, "mixing"),
        ("What should a practitioner change?", _advice, "signal"),
    )
    made = []
    for question, answer, figure in asked:
        parts = [{"configuration": one.name, "sentences": [*answer(one)]} for one in configurations]
        parts = [part for part in parts if part["sentences"]]
        if parts:
            made.append({"question": question, "parts": parts, "figure": figure})
    return made


def _published(of: Configuration) -> Iterator[str]:
    yield f"{_radii(of)} {_reach(of)} {_verdict(of)}"
    yield from _optimiser(of)


def _radii(of: Configuration) -> str:
    paper = _row(of.curvature, when=ALL, operator="paper, I + H")
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
    same = next((s.same_as for s in contest.standings if s.label == SPECTRAL), ())
    if ACCUMULATION in same:
        return (
            "The published explanation is not what makes the difference here: its prediction "
            "cannot be told from mere accumulation of the terms (E3, coherent), with every product "
            "the identity."
        )
    if SPECTRAL in contest.winners:
        return "The published explanation holds here: no other comes closer."
    if contest.winners:
        return "The published explanation does not hold here: others predict the growth better."
    return f"Whether it holds is not decided. {contest.reason}"


def _optimiser(of: Configuration) -> Iterator[str]:
    rows = [row for row in of.curvature if row["when"] == ALL and row["operator"] != "paper, I + H"]
    radii = [row for row in rows if row["quantity"] == "spectral radius"]
    norms = [row for row in rows if row["quantity"] != "spectral radius"]
    if radii:
        yield (
            "The largest distance of a spectral radius from one, to first order, "
            "of the operators that the optimiser really applies is "
            + listed(f"{row['largest']:.2g} ({row['operator']})" for row in radii)
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


def _mechanism(of: Configuration) -> Iterator[str]:
    contest = of.standings.contest
    if contest is not None:
        yield contest.reason + _yardstick(of.standings)
    for cut, what in (
        ("no-hessian", "Cutting the Hessian path"),
        ("no-memory", "Cutting the optimiser's memory"),
        ("neither", "Cutting both"),
        ("stable-hessian", "Deflating eigenvalues of H outside [−2, 0]"),
        ("as-sgd", "Differentiating as SGD"),
        ("trace", "Replacing the Jacobian by an accumulative trace"),
    ):
        found = [(phase, _row(of.cuts, when=phase, cut=cut)) for phase in PHASES]
        parts = [f"{percent(row, 'removed')} {phase}" for phase, row in found if row]
        if parts:
            yield (
                f"{what} removes {listed(parts)} of the log-growth at "
                f"{of.cuts[0]['horizon']} steps."
            )
    shares = [row for row in of.sources if row["when"] == ALL]
    if shares:
        yield (
            "Of the variance at the longest horizon, "
            + listed(
                f"{percent(row, 'share')} come from {row['source']}"
                for row in shares
                if row["source"] != COHERENCE
            )
            + _coherence(shares)
        )
    sensitivity, growth = _row(of.sensitivity, when=ALL), _row(of.cuts, when=ALL, cut="full")
    if sensitivity is not None and growth is not None:
        yield (
            f"The norm of the derivative of θ in η, through which validation noise passes, is "
            f"{ratio(sensitivity, 'growth')} times that after one step; the standard deviation of "
            f"the meta-gradient {ratio(growth, 'growth')} times."
        )


def _yardstick(made: Standings) -> str:
    """How close the measured sensitivity itself comes."""
    if made.yardstick is None:
        return ""
    value, low, high = (float(np.exp(end)) for end in made.yardstick.log_error)
    factor = ratio({"off": value, "off_low": low, "off_high": high}, "off")
    return (
        " The norm of the derivative of θ in η, measured instead of predicted, comes within a "
        f"factor of {factor}: it is what noise of T passes through, and what E1 to E5 try to "
        "predict."
    )


def _coherence(shares: Sequence[Row]) -> str:
    row = _row(shares, source=COHERENCE)
    if row is None:
        return "."
    return (
        f"; the terms' coherence is {ratio(row, 'share')} (0: they vary independently; 1: as one)."
    )


def _mixing(of: Configuration) -> Iterator[str]:
    at = {row["curve"]: row for row in _longest(of.mixing)}
    if {"n-step", "mix"} <= at.keys():
        yield (
            f"At {at['mix']['horizon']} steps the standard deviation is "
            f"{ratio(at['n-step'], 'growth')} times that of one step for the n-step "
            f"meta-gradient, and {ratio(at['mix'], 'growth')} times for the mix. The average of "
            f"the same horizons would have {ratio(at['mix if independent'], 'growth')} if their "
            f"noise were independent, and {ratio(at['mix if coherent'], 'growth')} if it were one "
            "and the same."
        )


def _advice(of: Configuration) -> Iterator[str]:
    signal = [r for r in of.spread if r.get("when") == ALL and np.isfinite(r.get("signal", np.nan))]
    if signal:
        best, one = max(signal, key=lambda r: r["signal"]), _row(signal, horizon=1)
        beside = f", at one step {ratio(one, 'signal')}" if one else ""
        yield (
            f"A single meta-gradient has its highest signal-to-noise ratio at "
            f"{best['horizon']} steps ({best['estimator']}: {ratio(best, 'signal')}{beside})."
        )
    hessian, memory = (_row(of.cuts, when=ALL, cut=cut) for cut in ("no-hessian", "no-memory"))
    if hessian is not None and abs(hessian["removed"]) < NEGLIGIBLE:
        yield (
            "Taming curvature will not help: cutting the whole Hessian path removes "
            f"{percent(hessian, 'removed')} of the log-growth."
        )
    elif hessian is not None and hessian["removed"] > MOST:
        yield (
            f"Curvature carries the greater part ({percent(hessian, 'removed')}): "
            "a smaller inner learning rate, or deflating the eigenvalues outside [−2, 0], is where "
            "to begin."
        )
    if memory is not None and memory["removed"] > MOST:
        yield (
            f"The optimiser's memory carries the greater part "
            f"({percent(memory, 'removed')}): an inner optimiser with less of it, or "
            "differentiating without it, is where to begin; both change the mean of the "
            "meta-gradient, too."
        )
    validation = _row(of.sources, when=ALL, source="validation trajectories")
    if validation is not None and validation["share"] > MOST:
        yield (
            f"Validation trajectories make {percent(validation, 'share')} of the "
            "variance: a larger validation batch, or a mix of horizons that each validate anew, "
            "lowers it; more inner data does not."
        )


def _row(rows: Sequence[Row], **wanted: Any) -> Row | None:
    return next((r for r in rows if all(r.get(k) == v for k, v in wanted.items())), None)


def _longest(rows: Sequence[Row]) -> list[Row]:
    """The rows of all of training at the longest horizon."""
    whole = [row for row in rows if row["when"] == ALL]
    longest = max((row["horizon"] for row in whole), default=0)
    return [row for row in whole if row["horizon"] == longest]
