"""Does the published explanation hold, as printed or as the optimiser applies it; or another?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hessdiag.analysis.contest import SAME, Contest, Standing
from hessdiag.analysis.curvature import PAPER, RADIUS
from hessdiag.analysis.cuts import BOUNDED
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, UNKNOWN, Answer, Quantity
from hessdiag.analysis.questions import FEWEST_SEEDS, Measured, answer, exact
from hessdiag.statistics import Interval

ACCUMULATION = "E3 accumulation, coherent"
SPECTRAL = "E1 spectral radius"
PAPERS = (SPECTRAL, "E2 products, paper")  # explanations by I + H itself
MATTERS = 0.1  # share of the log-growth beyond which a path does play a part
PRESUMED = {  # by how an explanation's name begins, the paths that it says play no part
    "E3": ("no-hessian", "no-memory"),
    "E4": ("no-hessian",),
}


def published(of: Measured) -> Answer:
    """Whether spectral radii of I + H make the growth (Bonnet et al. 2021, appendix D.2)."""
    numbers = _radius(of) | _predicted(of)
    contest = _contest(of)
    standings = contest.standings if contest else ()
    standing = next((standing for standing in standings if standing.label == SPECTRAL), None)
    if contest is None or standing is None:
        reason = "nothing-to-compare" if contest is None else "not-at-every-probe"
        status, why = (UNDECIDED, reason) if of.compared else (UNKNOWN, "")
        return answer(status, why, numbers=numbers)
    numbers["off"] = _factor(standing.log_error, of)
    return _of_readings(of, contest, [standing], numbers)


def optimiser(of: Measured) -> Answer:
    """Whether it holds when read with the operators that the optimiser really applies."""
    contest = _contest(of)
    readings = [
        standing
        for standing in (contest.standings if contest else ())
        if standing.label.startswith(("E1", "E2"))
        and "paper" not in standing.label
        and standing.label != SPECTRAL
    ]
    if contest is None or not readings:
        return answer()
    told = (*readings, contest.standings[0])
    factors = {standing.label: _factor(standing.log_error, of) for standing in told}
    return _of_readings(of, contest, readings, _radius(of, "augmented") | factors)


def _of_readings(
    of: Measured, contest: Contest, readings: Sequence[Standing], numbers: dict[str, Quantity]
) -> Answer:
    """Whether one of the readings of the paper's explanation holds."""
    options: dict[str, Any] = {"numbers": numbers, "labels": _labels(contest)}
    telling = [reading for reading in readings if ACCUMULATION not in reading.same_as]
    if not telling:
        return answer(FAILS, "no-work", **options)
    winners = [reading.label for reading in telling if reading.label in contest.winners]
    if winners:
        return _won(of, winners, options)
    if contest.winners or all(reading.beaten for reading in telling):
        return answer(FAILS, "closer", **options)
    return _open(contest, options)


def rivals(of: Measured) -> Answer:
    """Whether one of the explanations predicts the growth, and which comes closest."""
    contest, fare = _contest(of), of.standings
    if contest is None or fare is None:
        return answer()
    closest = contest.standings[0]
    numbers = {"off": _factor(closest.log_error, of), "noise": exact(np.exp(fare.noise))}
    labels = _labels(contest) | {"partial": "; ".join(_partial(of))}
    if fare.yardstick is not None:
        error = fare.yardstick.log_error
        numbers["sensitivity_off"] = _factor(error, of)
        labels["sensitivity"] = _yardstick(error, closest.log_error)
    options: dict[str, Any] = {"numbers": numbers, "labels": labels}
    if contest.winners:
        return _won(of, [closest.label], options)
    labels["contradicted"] = "; ".join(_contradictions(closest.label, of))
    return _open(contest, options)


def _won(of: Measured, winners: Sequence[str], options: dict[str, Any]) -> Answer:
    """What fits in size holds if no cut contradicts it: else its size proves no mechanism."""
    against = [_contradictions(label, of) for label in winners]
    if all(against):
        labels = options["labels"] | {"contradicted": "; ".join(against[0])}
        return answer(FAILS, "cut-contradicts", **(options | {"labels": labels}))
    return answer(HOLDS, "closest", **options)


def _open(contest: Contest, options: dict[str, Any]) -> Answer:
    """Undecided, with the number of runs that would decide where some would."""
    needs = {"too-few-runs": float(FEWEST_SEEDS), "not-closer": contest.runs}
    runs = needs.get(contest.reason, np.nan)
    seeds = {"seeds": runs} if np.isfinite(runs) else {}
    return answer(UNDECIDED, contest.reason, needs=seeds, **options)


def _contradictions(label: str, of: Measured) -> list[str]:
    """The cuts that speak against an explanation: then its size is a coincidence."""
    cuts = of.cuts
    if label[:2] in ("E1", "E2"):
        return _more_than_curvature_makes(label, of)
    presumed = [cut for cut in PRESUMED.get(label[:2], ()) if cut in cuts]
    return [
        cut
        for cut in presumed
        if cuts[cut]["removed_low"] > MATTERS or cuts[cut]["removed_high"] < -MATTERS
    ]


def _more_than_curvature_makes(label: str, of: Measured) -> list[str]:
    """The cuts of curvature, where none removes as much as an explanation says curvature makes.

    The whole Hessian amplifies in some directions and damps in others: cutting it may remove less
    than deflating its unstable eigenvalues alone does. These are those of I + H: of other
    operators the deflation says nothing. Without the Hessian every radius is one, of the augmented
    operator, too: its memory decays. What is left of the growth are n terms.
    """
    assert of.compared is not None
    predicted = of.compared.predicted[label][:, -1]
    share = float(np.median(1.0 - np.log(of.compared.horizons[-1]) / np.log(predicted)))
    named = ["no-hessian", BOUNDED] if label in PAPERS else ["no-hessian"]
    measured = [cut for cut in named if cut in of.cuts]
    is_more = all(share - of.cuts[cut]["removed_high"] > MATTERS for cut in measured)
    return measured if is_more else []


def _contest(of: Measured) -> Contest | None:
    return of.standings.contest if of.standings else None


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
    quantities = {"predicted": predicted, "growth": growth}
    quantities |= {"radii_factor": predicted / n, "radii_share": share}
    return {name: _over_probes(values) for name, values in quantities.items()}


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


def _yardstick(error: Interval, closest: Interval) -> str:
    """Whether the measured sensitivity comes closer than the closest explanation."""
    if error.high < max(float(closest.low), SAME):
        return "closer"
    return "further" if error.low > closest.high else "undecided"
