"""Learning curves and hyper-parameters along training, averaged over seeds."""

import numpy as np
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import (
    Layout,
    iteration_axis,
    legend_below,
    linear_axis,
    log_axis,
    panels,
)
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.data import Row, StudyData, distinct, values
from hessdiag.report.studies.figures.looks import colours

_DECADES = 30.0  # ratio of the largest to the smallest from which an axis is logarithmic


def _curves(data: StudyData) -> list[Row]:
    groups = set(data.results.get("groups", ()))
    return [row for row in data.rows("learning") if row["series"] not in groups]


def _hyper(data: StudyData) -> list[Row]:
    groups = set(data.results.get("groups", ()))
    return [row for row in data.rows("learning") if row["series"] in groups]


def _spread(data: StudyData) -> str:
    seeds = data.results.get("scale", {}).get("seeds", "?")
    return f"Lines: means over {seeds} seeds of block means; bands: one standard deviation of them."


def _draw(rows: list[Row], layout: Layout, *, columns: int) -> Figure:
    series = distinct(rows, "series")
    look = colours(distinct(rows, "configuration"))
    figure, axes = panels(layout, len(series), columns=columns, height=2.6)
    for axis, name in zip(axes, series, strict=True):
        shown = []
        for configuration, colour in look.items():
            at = [r for r in rows if (r["series"], r["configuration"]) == (name, configuration)]
            x, mean, deviation = (values(at, key) for key in ("iteration", "mean", "deviation"))
            deviation = np.nan_to_num(deviation)
            low, high = mean - deviation, mean + deviation
            shown.append(mean)
            positive = np.where(low > 0, low, np.nanmin(mean) / 2 if mean.size else 0)
            low = positive if np.nanmin(mean, initial=np.inf) > 0 else low
            axis.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
            axis.plot(x, mean, color=colour, label=configuration or "all runs")
        everything = np.concatenate(shown)
        finite = everything[np.isfinite(everything)]
        wide = finite.size and finite.min() > 0 and finite.max() / finite.min() > _DECADES
        (log_axis if wide else linear_axis)(axis, "y")
        iteration_axis(axis)
        axis.set_title(name)
    legend_below(figure, axes[0], layout=layout, columns=3)
    return figure


LEARNING = FigureSpec(
    slug="learning",
    title="Learning curves",
    caption=_spread,
    available=lambda data: bool(_curves(data)),
    rows=_curves,
    draw=lambda data, layout: _draw(_curves(data), layout, columns=2),
)

HYPER_PARAMETERS = FigureSpec(
    slug="hyper-parameters",
    title="Hyper-parameters along training",
    caption=lambda data: (
        "Hyper-parameters in force, after their transform; several that are named together are "
        f"averaged. {_spread(data)}"
    ),
    available=lambda data: bool(_hyper(data)),
    rows=_hyper,
    draw=lambda data, layout: _draw(_hyper(data), layout, columns=2),
)
