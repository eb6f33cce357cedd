"""The explanations side by side."""

import numpy as np

from hessdiag.report.figures.scatter import comparisons, correlation_text
from hessdiag.report.numbers import plain
from hessdiag.report.run_data import RunData
from hessdiag.report.tables.table import Table


def explanation_table(data: RunData) -> Table | None:
    """What each explanation predicts, against what was measured, over all probes.

    Args:
        data: The run.

    Returns:
        The measurement, then a row per explanation: medians with their range. None without
        predictions.
    """
    rows = comparisons(data)
    if not rows:
        return None
    names = list(dict.fromkeys(row["explanation"] for row in rows))
    measured = np.array([row["measured"] for row in rows if row["explanation"] == names[0]])
    cells = [("measured", _range(measured), "", "")]
    for name in names:
        predicted, beside = (
            np.array([row[side] for row in rows if row["explanation"] == name])
            for side in ("predicted", "measured")
        )
        correlation = correlation_text(data, name)
        cells.append((name, _range(predicted), _range(_ratio(predicted, beside)), correlation))
    return Table(("", "growth at n", "predicted ÷ measured", "rank correlation"), cells)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is left out
        return above / below


def _range(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not values.size:
        return "–"
    middle, low, high = np.median(values), values.min(), values.max()
    return f"{plain(middle)} ({plain(low)} to {plain(high)})"
