"""Bias and standard deviation along training, by horizon."""

import numpy as np
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, iteration_axis, legend_below, log_axis, panels
from hessdiag.report.figures.palette import sequence
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.data import Row, StudyData, distinct, intervals, values
from hessdiag.report.studies.figures.looks import line_with_band

_SHOWN = (1, 2, 5, 10, 20, 40)  # more bands would hide each other
_QUANTITIES = {"bias": "bias of n-step", "std": "std of n-step"}


def _rows(data: StudyData) -> list[Row]:
    return [r for r in data.rows("spread") if "iteration" in r and r["group"] != "all"]


def _shown(data: StudyData) -> list[Row]:
    rows = [r for r in _rows(data) if r["estimator"] == "n-step"]
    several = len(distinct(rows, "iteration")) > 1 and len(distinct(rows, "horizon")) > 1
    one = len(distinct(rows, "configuration")) == 1  # curves of many would hide each other
    return rows if several and one else []


def _draw(data: StudyData, layout: Layout) -> Figure:
    rows = _shown(data)
    groups, horizons = distinct(rows, "group"), distinct(rows, "horizon")
    horizons = [h for h in horizons if h in (*_SHOWN, horizons[-1])]
    figure, axes = panels(layout, 2 * len(groups), columns=2, height=2.6)
    places = [(group, quantity) for group in groups for quantity in _QUANTITIES]
    for axis, (group, quantity) in zip(axes, places, strict=True):
        for k, horizon in enumerate(horizons):
            if quantity == "bias" and horizon == horizons[-1]:
                continue  # the oracle's distance to itself
            at = [r for r in rows if (r["group"], r["horizon"]) == (group, horizon)]
            ends = (_positive(values(at, f"{quantity}{end}")) for end in ("", "_low", "_high"))
            colour = sequence(k, len(horizons))
            look = {"colour": colour, "label": f"n = {horizon}", "linewidth": 1.2}
            line_with_band(axis, values(at, "iteration"), *ends, **look)
        log_axis(axis, "y")
        iteration_axis(axis)
        axis.set_title(f"{_QUANTITIES[quantity]}, {group}")
    legend_below(figure, axes[-1], layout=layout, columns=6)
    return figure


def _positive(numbers: np.ndarray) -> np.ndarray:
    """What a logarithmic axis can show."""
    return np.where(numbers > 0, numbers, np.nan)


ALONG = FigureSpec(
    slug="along-training",
    title="Bias and standard deviation of n-step meta-gradients along training",
    caption=lambda data: (
        "Bias: root mean square over a group of meta-parameters of the distance in the mean to the "
        f"{_shown(data)[-1]['horizon']}-step meta-gradient, the Monte-Carlo floor taken off; a gap "
        "in a line or band is an estimate, or an end of its interval, that is not above zero. The "
        "standard deviation is averaged as a logarithm. Both per unit of η. "
        f"Bands: {intervals(_shown(data), data.confidence)}."
    ),
    available=lambda data: bool(_shown(data)),
    rows=_rows,
    draw=_draw,
)
