"""Does the published explanation hold, as printed or as the optimiser applies it; or another?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hessdiag.analysis.contest import SAME, Contest, Standing
from hessdiag.analysis.contradictions import SPECTRAL, contradictions
from hessdiag.analysis.curvature import PAPER, RADIUS
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, UNKNOWN, Answer, Quantity
from hessdiag.analysis.questions import FEWEST_SEEDS, Measured, answer, exact, not_measured
from hessdiag.statistics import Interval

ACCUMULATION = "E3 accumulation, coherent"


def published(of: Measured) -> Answer:
    """Whether spectral radii of I + H make the growth (Bonnet et al. 2021, appendix D.2)."""
    numbers = _radius(of) | _predicted(of)
    contest = _contest(of)
    standing = None if contest is None else _standing(contest, SPECTRAL)
    if contest is None or standing is None:
        reason = "nothing-to-compare" if contest is None else "not-at-every-probe"
        status, why = (UNDECIDED, reason) if of.compared else (UNKNOWN, "")
        return answer("published", of, status, why, numbers=numbers)
    numbers |= {"off": _factor(standing.log_error, of)}
    options: dict[str, Any] = {"numbers": numbers, "labels": _labels(contest)}
    if ACCUMULATION in standing.same_as:
        return answer("published", of, FAILS, "no-work", **options)
    if SPECTRAL in contest.winners:
        return _won("published", of, [SPECTRAL], options)
    if contest.winners or standing.beaten:
        return answer("published", of, FAILS, "closer", **options)
    return _open("published", of, contest, options)


def optimiser(of: Measured) -> Answer:
    """Whether it holds when read with the operators that the optimiser really applies."""
    contest = _contest(of)
    readings = _readings(contest)
    if contest is None or not readings:
        return not_measured("optimiser", of)
    numbers = _radius(of, "augmented") | {
        one.label: _factor(one.log_error, of) for one in (*readings, contest.standings[0])
    }
    options: dict[str, Any] = {"numbers": numbers, "labels": _labels(contest)}
    telling = [one for one in readings if ACCUMULATION not in one.same_as]
    if not telling:
        return answer("optimiser", of, FAILS, "no-work", **options)
    winners = [one.label for one in telling if one.label in contest.winners]
    if winners:
        return _won("optimiser", of, winners, options)
    if contest.winners or all(one.beaten for one in telling):
        return answer("optimiser", of, FAILS, "closer", **options)
    return _open("optimiser", of, contest, options)


def rivals(of: Measured) -> Answer:
    """Whether one of the explanations predicts the growth, and which comes closest."""
    contest, made = _contest(of), of.standings
    if contest is None or made is None or of.compared is None:
        return not_measured("rivals", of)
    closest = contest.standings[0]
    noise = float(np.exp(made.noise))
    numbers = {"off": _factor(closest.log_error, of), "noise": exact(noise)}
    labels = _labels(contest) | {"partial": "; ".join(_partial(of))}
    if made.yardstick is not None:
        own = made.yardstick.log_error
        numbers["sensitivity_off"] = _factor(own, of)
        labels["sensitivity"] = _yardstick(own, closest.log_error)
    options: dict[str, Any] = {"numbers": numbers, "labels": labels}
    if contest.winners:
        return _won("rivals", of, [closest.label], options)
    against = contradictions(closest.label, of.compared, of.cuts)
    labels["contradicted"] = "; ".join(against)
    return _open("rivals", of, contest, options)


def _won(question: str, of: Measured, winners: Sequence[str], options: dict[str, Any]) -> Answer:
    """What fits in size holds if no cut contradicts it: else its size proves no mechanism."""
    assert of.compared is not None
    against = [contradictions(label, of.compared, of.cuts) for label in winners]
    if all(against):
        labels = options["labels"] | {"contradicted": "; ".join(against[0])}
        return answer(question, of, FAILS, "cut-contradicts", **(options | {"labels": labels}))
    return answer(question, of, HOLDS, "closest", **options)


def _open(question: str, of: Measured, contest: Contest, options: dict[str, Any]) -> Answer:
    """Undecided, with the number of runs that would decide where some would."""
    needs = {"too-few-runs": float(FEWEST_SEEDS), "not-closer": contest.runs}
    runs = needs.get(contest.reason, np.nan)
    found = {"seeds": runs} if np.isfinite(runs) else {}
    return answer(question, of, UNDECIDED, contest.reason, needs=found, **options)


def _contest(of: Measured) -> Contest | None:
    return of.standings.contest if of.standings else None


def _standing(contest: Contest, label: str) -> Standing | None:
    return next((one for one in contest.standings if one.label == label), None)


def _readings(contest: Contest | None) -> list[Standing]:
    """The paper's explanation with operators that are not its own."""
    return [
        one
        for one in (contest.standings if contest else ())
        if one.label.startswith(("E1", "E2")) and "paper" not in one.label and one.label != SPECTRAL
    ]


def _labels(contest: Contest) -> dict[str, str]:
    return {
        "closest": contest.standings[0].label,
        "winners": "; ".join(contest.winners),
        "rivals": "; ".join(contest.rivals),
    }


def _factor(log_error: Interval, of: Measured) -> Quantity:
    """An error of the logarithm as a factor."""
    with np.errstate(over="ignore"):  # of few seeds, an end may be infinite
        value, low, high = (float(np.exp(end)) for end in log_error)
    seeds = len(set(of.compared.seeds)) if of.compared else 0
    return Quantity(value, low, high, "seeds", seeds)


def _radius(of: Measured, operator: str = PAPER) -> dict[str, Quantity]:
    """The largest radius found, with what it may be off by."""
    for row in of.rows["curvature"]:
        if (row["operator"], row["quantity"]) == (operator, RADIUS):
            value, error, count = (row[key] for key in ("largest", "largest_error", "spectra"))
            number = Quantity(value, value - error, value + error, "bound", int(count))
            return {"largest_radius_minus_one": number}
    return {}


def _predicted(of: Measured) -> dict[str, Quantity]:
    """What the radii predict at the longest horizon, and measured growth, over probes."""
    if of.compared is None or SPECTRAL not in of.compared.predicted:
        return {}
    n, predicted = of.compared.horizons[-1], of.compared.predicted[SPECTRAL][:, -1]
    growth = of.compared.measured[:, -1]
    if not np.isfinite(predicted).all():
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log(predicted / n) / np.log(growth)
    values = {
        "predicted": predicted,
        "growth": growth,
        "radii_factor": predicted / n,
        "radii_share": share,
    }
    return {name: _over_probes(numbers) for name, numbers in values.items()}


def _over_probes(values: np.ndarray) -> Quantity:
    """Median and range."""
    low, high = float(values.min()), float(values.max())
    return Quantity(float(np.median(values)), low, high, "probes", len(values))


def _partial(of: Measured) -> list[str]:
    """Explanations that speak at some probes only, so that they cannot be compared over all."""
    assert of.compared is not None
    spoke = {
        name: np.isfinite(values).all(axis=1) for name, values in of.compared.predicted.items()
    }
    return [name for name, probes in spoke.items() if probes.any() and not probes.all()]


def _yardstick(own: Interval, closest: Interval) -> str:
    """Whether the measured sensitivity comes closer than the closest explanation."""
    if own.high < max(float(closest.low), SAME):
        return "closer"
    return "further" if own.low > closest.high else "undecided"
