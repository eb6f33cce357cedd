"""What every question is answered from: the rows of one configuration, over all of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.comparisons import Evidence, evidence
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, UNKNOWN, Answer, Quantity
from hessdiag.analysis.frames import Row, rows
from hessdiag.analysis.measured import ALL
from hessdiag.analysis.standings import Standings, standings

FEWEST_SEEDS = 3  # whose interval is worth looking at
ROUNDING = 1e-6
FIGURES = {
    "growth": "growth",
    "published": "predicted",
    "optimiser": "predicted",
    "rivals": "predicted",
    "hessian-cut": "growth",
    "deflation": "sources",
    "memory-cut": "growth",
    "sources": "sources",
    "mix": "growth",
    "signal-to-noise": "signal",
    "reproduced": "published",
}
"""By question, in their order: the figure that shows its answer."""


@dataclass(frozen=True)
class Measured:
    """What is known of one configuration over all of training.

    Attributes:
        name: of the configuration.
        rows: of every table.
        cuts: by cut, its row at the longest horizon.
        compared: predictions and measured growth of the n-step meta-gradient; None without any.
        standings: how the explanations fare.
    """

    name: str
    rows: Mapping[str, Sequence[Row]]
    cuts: Mapping[str, Row]
    compared: Evidence | None
    standings: Standings | None


def measured(tables: Mapping[str, pd.DataFrame], name: str, *, confidence: float) -> Measured:
    """The part of all tables that answers are made from."""
    found = {part: rows(table, configuration=name) for part, table in tables.items()}
    comparisons = [row for row in found["comparisons"] if row["estimator"] == "n-step"]
    whole = {
        part: [row for row in own if row.get("when", ALL) == ALL] for part, own in found.items()
    }
    compared = evidence(comparisons)
    made = standings(compared, confidence=confidence) if compared else None
    return Measured(
        name, whole, {row["cut"]: row for row in longest(whole["cuts"])}, compared, made
    )


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


def answer(question: str, of: Measured, status: str, reason: str = "", **more: Any) -> Answer:
    """An answer with its figure; what is not measured has no numbers."""
    return Answer(question, of.name, status, reason, figure=FIGURES[question], **more)


def not_measured(question: str, of: Measured) -> Answer:
    """Nothing to decide from."""
    return answer(question, of, UNKNOWN)


def needed(number: Quantity, *thresholds: float) -> dict[str, float]:
    """How many units would part an interval, which shrinks with their root, from a threshold.

    Args:
        number: with the interval that reaches beyond.
        thresholds: the nearest is the one to be told from.
    """
    unit = "seeds" if number.count < 2 or number.over not in ("probes", "samples") else number.over
    distance = min(abs(number.value - threshold) for threshold in thresholds)
    half = 0.5 * (number.high - number.low)
    if not np.isfinite(half) or number.count < 2:
        return {unit: float(FEWEST_SEEDS)}
    if distance == 0.0:
        return {}
    count = np.ceil(number.count * (half / distance) ** 2 - ROUNDING)
    return {unit: float(max(number.count + 1, count))}


def carries(
    question: str, of: Measured, number: Quantity, much: float, numbers: Mapping[str, Quantity]
) -> Answer:
    """Whether a share is surely large, surely small, or surely negative."""
    options: dict[str, Any] = {"numbers": numbers}
    if number.low > much:
        return answer(question, of, HOLDS, "carries", **options)
    if number.high < 0.0 and number.value < -much:
        return answer(question, of, FAILS, "damps", **options)
    if number.high < much:
        return answer(question, of, FAILS, "little", **options)
    needs = needed(number, much)
    return answer(question, of, UNDECIDED, "overlaps", needs=needs, **options)
