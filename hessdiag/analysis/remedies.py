"""How the noise grows, what carries it, and what would lower it: rules on intervals."""

from operator import itemgetter
from typing import Any

import numpy as np

from hessdiag.analysis.cuts import BOUNDED, VALIDATION
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, Answer, Quantity
from hessdiag.analysis.published import MISSED, OUT_OF_REACH, standing
from hessdiag.analysis.questions import (
    Measured,
    answer,
    carries,
    exact,
    longest,
    overlapping,
    quantity,
)

MUCH = 0.25  # a share whose interval lies above is worth working on, below not


def growth(of: Measured) -> Answer:
    """Whether the standard deviation grows with the number of inner steps."""
    spread = longest([row for row in of.rows["spread"] if row["estimator"] == "n-step"])
    row = next((row for row in spread if row["group"] == "all" and row["horizon"] > 1), None)
    if row is None or not np.isfinite(row["growth"]):
        return answer()
    number = quantity(row, "growth")
    numbers = {"growth": number, "horizon": exact(row["horizon"])}
    for sensitivity in of.rows["sensitivity"]:
        numbers["sensitivity"] = quantity(sensitivity, "growth")
    if number.low > 1.0:
        return answer(HOLDS, "grows", numbers=numbers)
    if number.high <= 1.0:
        return answer(FAILS, "does-not-grow", numbers=numbers)
    return overlapping(number, 1.0, numbers=numbers)


def hessian_cut(of: Measured) -> Answer:
    """Whether curvature carries the growth: all of it, or its unstable part alone."""
    numbers = _left(of, "no-hessian", "without_hessian")
    if not numbers:
        return answer()
    whole = carries(numbers["removed"], MUCH, numbers)
    bounded = _left(of, BOUNDED, "without_unstable").get("removed")
    if bounded is None or whole.reason == "carries":
        return whole
    if bounded.low > MUCH:  # what amplifies may hide behind what damps
        return answer(HOLDS, "unstable-part", numbers=numbers)
    if whole.reason == "little" and not bounded.high < MUCH:
        return overlapping(bounded, MUCH, numbers=numbers)
    return whole


def deflation(of: Measured) -> Answer:
    """Whether the unstable eigenvalues that were found carry the growth."""
    numbers = _left(of, BOUNDED, "without_unstable")
    if numbers and np.isfinite(of.cuts[BOUNDED].get("left_out", np.nan)):
        numbers["left_out"] = quantity(of.cuts[BOUNDED], "left_out")
    return carries(numbers["removed"], MUCH, numbers) if numbers else answer()


def memory_cut(of: Measured) -> Answer:
    """Whether the optimiser's memory carries the growth."""
    numbers = _left(of, "no-memory", "without_memory")
    return carries(numbers["removed"], MUCH, numbers) if numbers else answer()


def sources(of: Measured) -> Answer:
    """Whether validation trajectories make much of the variance."""
    shares = {row["source"]: row for row in of.rows["sources"] if np.isfinite(row["share"])}
    if VALIDATION not in shares:
        return answer()
    numbers = {
        f"share_{source.split()[0]}": quantity(row, "share") for source, row in shares.items()
    }
    return carries(numbers["share_validation"], MUCH, numbers)


def mix(of: Measured) -> Answer:
    """Whether mixing horizons lowers the growth at the longest of them."""
    numbers = {
        row["curve"].replace(" ", "_").replace("-", "_"): quantity(row, "growth")
        for row in longest(of.rows["mixing"])
        if row["horizon"] > 1
    }
    if not {"n_step", "mix"} <= numbers.keys():
        return answer()
    steps, mixed = numbers["n_step"], numbers["mix"]
    if mixed.high < steps.low:
        return answer(HOLDS, "lower", numbers=numbers)
    if mixed.low > steps.high:
        return answer(FAILS, "higher", numbers=numbers)
    return overlapping(mixed, steps.value, numbers=numbers)


def signal_to_noise(of: Measured) -> Answer:
    """At how many steps, and how estimated, a single meta-gradient tells most."""
    rows = [row for row in of.rows["spread"] if np.isfinite(row.get("signal", np.nan))]
    best = max(rows, key=itemgetter("signal"), default={})
    others = [row for row in rows if row["horizon"] != best["horizon"]]
    if not others:
        return answer()
    single = next((row for row in others if row["horizon"] == 1), None)
    rival = single or max(others, key=itemgetter("signal"))
    numbers = {
        "signal": quantity(best, "signal"),
        "horizon": exact(best["horizon"]),
        "rival": quantity(rival, "signal"),
        "rival_horizon": exact(rival["horizon"]),
    }
    options: dict[str, Any] = {"numbers": numbers, "labels": {"estimator": best["estimator"]}}
    if all(best["signal_low"] > row["signal_high"] for row in others):
        return answer(HOLDS, "best", **options)
    if single and best["signal_low"] > single["signal_high"]:
        return answer(HOLDS, "better-than-one-step", **options)
    return overlapping(numbers["signal"], numbers["rival"].value, **options)


def reproduced(of: Measured) -> Answer:
    """Whether our intervals meet those published, a standard deviation over seeds to each side.

    Undecided where none is missed, and some are out of reach of trainings as long as ours.
    """
    known = [row for row in of.rows["published"] if standing(row)]
    # one step over itself is one by definition
    known = [row for row in known if (row["quantity"], row["horizon"]) != ("growth", 1)]
    missed, beyond = (
        [
            f"{row['quantity']} {row['estimator']} {row['horizon']:g}"
            for row in known
            if standing(row) == kind
        ]
        for kind in (MISSED, OUT_OF_REACH)
    )
    met = len(known) - len(missed) - len(beyond)
    numbers = {"met": exact(met), "of": exact(len(known))}
    if beyond:
        numbers["beyond"] = exact(len(beyond))
    labels = {"missed": "; ".join(missed), "beyond": "; ".join(beyond)}
    options: dict[str, Any] = {"numbers": numbers, "labels": labels}
    if of.rows.get("published curves"):
        options["figure"] = "learning"
    if missed:
        return answer(FAILS, "some-miss", **options)
    if beyond:
        return answer(UNDECIDED, "out-of-reach", **options)
    return answer(HOLDS, "all-meet", **options) if known else answer()


def _left(of: Measured, cut: str, name: str) -> dict[str, Quantity]:
    """The growth that a cut leaves, that without it, and the share of its logarithm removed."""
    if cut not in of.cuts:
        return {}
    row = of.cuts[cut]
    return {
        name: quantity(row, "growth"),
        "removed": quantity(row, "removed"),
        "growth": quantity(of.cuts["full"], "growth"),
    }
