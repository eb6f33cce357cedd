"""How many directions an unroll makes grow, and whether the outer gradient lies in them."""

from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.average import averaged, logs, table
from hessdiag.analysis.findings import FAILS, HOLDS, Answer, Quantity
from hessdiag.analysis.frames import Row
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.questions import Measured, answer, exact, overlapping, quantity
from hessdiag.analysis.remedies import MUCH

EXACT = "augmented"  # whose product is the derivative of theta^(n) in theta^(0)
_SHARES = {
    "growing": "singular_mass_growing",
    "kept": "singular_mass_kept",
    "shrinking": "singular_mass_shrinking",
    "overlap": "outer_overlap",
}
_STRETCHES = ("outer_stretch", "random_stretch")


def direction_table(of: Configuration) -> pd.DataFrame:
    """Shares of the directions that grow, are kept and shrink; what T has of those that grow.

    By operator, for its product over all inner steps. Intervals are over seeds; `bound` is the
    largest numerical error of these shares at any probe.
    """
    data = of.having(*_SHARES.values())
    if data is None:
        return pd.DataFrame()
    quantities: dict[str, Any] = {
        name: (of.by_phase(data[variable].mean("operator_unroll")), None)
        for name, variable in _SHARES.items()
    }
    for name in _STRETCHES:
        log = logs(data[name]).mean("operator_unroll")
        quantities[name] = (of.by_phase(log), np.exp)
    rows = averaged(quantities, confidence=of.confidence, counted="growing")
    errors = data[[f"{variable}_error" for variable in _SHARES.values()]].to_dataarray("share")
    most = of.by_phase(errors.max(("share", "operator_unroll"))).max(("seed", "iteration"))
    rows = rows.assign(bound=most).rename(singular_operator="operator")
    return table(rows, "when", "operator").query("count > 0").reset_index(drop=True)


def seen(of: Measured) -> Answer:
    """Whether much of T lies in directions that the exact unroll makes grow."""
    rows: dict[str, Row] = {row["operator"]: row for row in of.rows["directions"]}
    if EXACT not in rows or not np.isfinite(rows[EXACT]["overlap"]):
        return answer()
    row = rows[EXACT]
    overlap = _widened(quantity(row, "overlap"), row["bound"])
    numbers = {
        "share_overlap": overlap,
        "share_growing": _widened(quantity(row, "growing"), row["bound"]),
        "outer_stretch": quantity(row, "outer_stretch"),
        "random_stretch": exact(row["random_stretch"]),
    }
    if overlap.low > MUCH:
        return answer(HOLDS, "overlaps-growth", numbers=numbers)
    if overlap.high < MUCH:
        return answer(FAILS, "little", numbers=numbers)
    return overlapping(overlap, MUCH, numbers=numbers)


def _widened(number: Quantity, bound: float) -> Quantity:
    """With the numerical error beyond the interval's ends."""
    low, high = number.low - bound, number.high + bound
    return Quantity(number.value, low, high, number.over, number.count)
