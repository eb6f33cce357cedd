"""What every question is answered from: the rows of one configuration, over all of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.comparisons import Evidence, evidence
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, UNKNOWN, Answer, Quantity
from hessdiag.analysis.frames import Row, chosen, rows
from hessdiag.analysis.measured import ALL
from hessdiag.analysis.standings import Standings, standings

FEWEST_SEEDS = 3  # whose interval is worth looking at
ROUNDING = 1e-6


@dataclass(frozen=True)
class Measured:
    """What is known of one configuration over all of training."""

    rows: Mapping[str, Sequence[Row]]  # of every table but the comparisons
    cuts: Mapping[str, Row]  # by cut, its row at the longest horizon
    compared: Evidence | None  # predictions and growth of the n-step meta-gradient
    standings: Standings | None  # how the explanations fare


def measured(tables: Mapping[str, pd.DataFrame], name: str, *, confidence: float) -> Measured:
    """The part of all tables that answers are made from."""
    whole = {
        part: [row for row in rows(table, configuration=name) if row.get("when", ALL) == ALL]
        for part, table in tables.items()
        if part != "comparisons"
    }
    compared = evidence(chosen(tables["comparisons"], configuration=name, estimator="n-step"))
    fare = standings(compared, confidence=confidence) if compared else None
    return Measured(whole, {row["cut"]: row for row in longest(whole["cuts"])}, compared, fare)


def longest(rows: Sequence[Row]) -> list[Row]:
    """The rows at the longest horizon."""
    horizon = max((row["horizon"] for row in rows), default=0)
    return [row for row in rows if row["horizon"] == horizon]


def quantity(row: Row, name: str) -> Quantity:
    """A number of a table's row with its interval."""
    value, low, high = (float(row.get(f"{name}{end}", np.nan)) for end in ("", "_low", "_high"))
    return Quantity(value, low, high, str(row.get("over", "seeds")), int(row.get("count", 0)))


def exact(number: float) -> Quantity:
    """A number without an interval."""
    return Quantity(float(number), np.nan, np.nan, "bound", 1)


def answer(status: str = UNKNOWN, reason: str = "", **more: Any) -> Answer:
    """An answer whose question is filled in by who asks it; not measured unless told otherwise."""
    return Answer("", "", status, reason, **more)


def overlapping(number: Quantity, threshold: float, **more: Any) -> Answer:
    """Undecided, with how many units would part an interval from the threshold that it reaches.

    Intervals shrink with the root of the number of units.
    """
    unit = "seeds" if number.count < 2 or number.over not in ("probes", "samples") else number.over
    distance = abs(number.value - threshold)
    half = 0.5 * (number.high - number.low)
    needs = {}
    if not np.isfinite(half) or number.count < 2:
        needs = {unit: float(FEWEST_SEEDS)}
    elif distance > 0.0:
        count = np.ceil(number.count * (half / distance) ** 2 - ROUNDING)
        needs = {unit: float(max(number.count + 1, count))}
    return answer(UNDECIDED, "overlaps", needs=needs, **more)


def carries(number: Quantity, much: float, numbers: Mapping[str, Quantity]) -> Answer:
    """Whether a share is surely large, surely small, or surely negative.

    A share of a growth that may not be there is none, and nothing carries what is surely not there.
    """
    growth = numbers.get("growth")
    if growth and not np.isfinite(number.value):
        no_growth = answer(FAILS, "no-growth", numbers=numbers)
        return no_growth if growth.high <= 1.0 else overlapping(growth, 1.0, numbers=numbers)
    if number.low > much:
        return answer(HOLDS, "carries", numbers=numbers)
    if number.high < 0.0 and number.value < -much:
        return answer(FAILS, "damps", numbers=numbers)
    if number.high < much:
        return answer(FAILS, "little", numbers=numbers)
    return overlapping(number, much, numbers=numbers)
