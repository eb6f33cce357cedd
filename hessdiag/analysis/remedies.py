"""How the noise grows, what carries it, and what would lower it: rules on intervals."""

from typing import Any

import numpy as np

from hessdiag.analysis.cuts import BOUNDED, VALIDATION
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, Answer, Quantity
from hessdiag.analysis.frames import Row
from hessdiag.analysis.questions import (
    Measured,
    answer,
    carries,
    exact,
    longest,
    needed,
    not_measured,
    quantity,
)

MUCH = 0.25  # a share whose interval lies above is worth working on, below not


def growth(of: Measured) -> Answer:
    """Whether the standard deviation grows with the number of inner steps."""
    spread = [row for row in of.rows["spread"] if row["estimator"] == "n-step"]
    found = [row for row in longest(spread) if row["group"] == "all" and row["horizon"] > 1]
    if not found or not np.isfinite(found[0]["growth"]):
        return not_measured("growth", of)
    number = quantity(found[0], "growth")
    numbers = {"growth": number, "horizon": exact(found[0]["horizon"])}
    for row in of.rows["sensitivity"]:
        numbers["sensitivity"] = quantity(row, "growth")
    if number.low > 1.0:
        return answer("growth", of, HOLDS, "grows", numbers=numbers)
    if number.high <= 1.0:
        return answer("growth", of, FAILS, "does-not-grow", numbers=numbers)
    needs = needed(number, 1.0)
    return answer("growth", of, UNDECIDED, "overlaps", numbers=numbers, needs=needs)


def hessian_cut(of: Measured) -> Answer:
    """Whether curvature carries the growth: all of it, or its unstable part alone."""
    numbers = _left(of, "no-hessian", "without_hessian")
    if not numbers:
        return not_measured("hessian-cut", of)
    whole = carries("hessian-cut", of, numbers["removed"], MUCH, numbers)
    bounded = _left(of, BOUNDED, "without_unstable").get("removed")
    if bounded is None or whole.reason == "carries":
        return whole
    if bounded.low > MUCH:  # what amplifies may hide behind what damps
        return answer("hessian-cut", of, HOLDS, "unstable-part", numbers=numbers)
    if whole.reason == "little" and not bounded.high < MUCH:
        needs = needed(bounded, MUCH)
        return answer("hessian-cut", of, UNDECIDED, "overlaps", numbers=numbers, needs=needs)
    return whole


def deflation(of: Measured) -> Answer:
    """Whether the unstable eigenvalues that were found carry the growth."""
    numbers = _left(of, BOUNDED, "without_unstable")
    if not numbers:
        return not_measured("deflation", of)
    if np.isfinite(of.cuts[BOUNDED].get("left_out", np.nan)):
        numbers["left_out"] = quantity(of.cuts[BOUNDED], "left_out")
    return carries("deflation", of, numbers["removed"], MUCH, numbers)


def memory_cut(of: Measured) -> Answer:
    """Whether the optimiser's memory carries the growth."""
    numbers = _left(of, "no-memory", "without_memory")
    if not numbers:
        return not_measured("memory-cut", of)
    return carries("memory-cut", of, numbers["removed"], MUCH, numbers)


def sources(of: Measured) -> Answer:
    """Whether validation trajectories make much of the variance."""
    shares = {row["source"]: row for row in of.rows["sources"] if np.isfinite(row["share"])}
    if VALIDATION not in shares:
        return not_measured("sources", of)
    numbers = {
        f"share_{source.split()[0]}": quantity(row, "share") for source, row in shares.items()
    }
    return carries("sources", of, numbers["share_validation"], MUCH, numbers)


def mix(of: Measured) -> Answer:
    """Whether mixing horizons lowers the growth at the longest of them."""
    curves = {row["curve"]: row for row in longest(of.rows["mixing"]) if row["horizon"] > 1}
    if not {"n-step", "mix"} <= curves.keys():
        return not_measured("mix", of)
    numbers = {
        curve.replace(" ", "_").replace("-", "_"): quantity(row, "growth")
        for curve, row in curves.items()
    }
    steps, mixed = numbers["n_step"], numbers["mix"]
    if mixed.high < steps.low:
        return answer("mix", of, HOLDS, "lower", numbers=numbers)
    if mixed.low > steps.high:
        return answer("mix", of, FAILS, "higher", numbers=numbers)
    needs = needed(mixed, steps.value)
    return answer("mix", of, UNDECIDED, "overlaps", numbers=numbers, needs=needs)


def signal_to_noise(of: Measured) -> Answer:
    """At how many steps, and how estimated, a single meta-gradient tells most."""
    found = [row for row in of.rows["spread"] if np.isfinite(row.get("signal", np.nan))]
    best = max(found, key=_signal, default=None)
    others = [row for row in found if best and row["horizon"] != best["horizon"]]
    if best is None or not others:
        return not_measured("signal-to-noise", of)
    single = next((row for row in others if row["horizon"] == 1), None)
    rival = single or max(others, key=_signal)
    numbers = {
        "signal": quantity(best, "signal"),
        "horizon": exact(best["horizon"]),
        "rival": quantity(rival, "signal"),
        "rival_horizon": exact(rival["horizon"]),
    }
    options: dict[str, Any] = {"numbers": numbers, "labels": {"estimator": best["estimator"]}}
    if all(best["signal_low"] > row["signal_high"] for row in others):
        return answer("signal-to-noise", of, HOLDS, "best", **options)
    if single and best["signal_low"] > single["signal_high"]:
        return answer("signal-to-noise", of, HOLDS, "better-than-one-step", **options)
    needs = needed(numbers["signal"], numbers["rival"].value)
    return answer("signal-to-noise", of, UNDECIDED, "overlaps", needs=needs, **options)


def reproduced(of: Measured) -> Answer:
    """Whether our intervals meet those published, a standard deviation over seeds to each side."""
    known = [row for row in of.rows["published"] if np.isfinite(row["low"])]
    found = [row for row in known if (row["quantity"], row["horizon"]) != ("growth", 1)]
    if not found:  # one step over itself is one by definition
        return not_measured("reproduced", of)
    missed = [
        f"{row['quantity']} {row['estimator']} {row['horizon']:g}"
        for row in found
        if row["low"] > row["published"] + row["published_deviation"]
        or row["high"] < row["published"] - row["published_deviation"]
    ]
    numbers = {"met": exact(len(found) - len(missed)), "of": exact(len(found))}
    status, reason = (FAILS, "some-miss") if missed else (HOLDS, "all-meet")
    labels = {"missed": "; ".join(missed)}
    return answer("reproduced", of, status, reason, numbers=numbers, labels=labels)


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


def _signal(row: Row) -> float:
    return row["signal"]
