"""Learning curves and hyper-parameters over training, averaged over seeds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import (
    iteration_axis,
    legend,
    line_with_band,
    linear_axis,
    log_axis,
    panels,
)
from hessdiag.report.figures.looks import colours
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import column, measured, rows

_DECADES = 30.0  # ratio of the largest to the smallest from which an axis is logarithmic
_PANELS = 8


def learning(findings: Findings) -> FigureSpec | None:
    """The headline metric over training, a line per configuration."""
    headline = str(findings.about.get("headline", "return"))
    return _figure(
        findings, "learning", f"{names.title(names.parameter(headline))} over training", [headline]
    )


def hyper_parameters(findings: Findings) -> FigureSpec | None:
    """What the meta-gradient makes of the hyper-parameters."""
    return _figure(
        findings,
        "hyper-parameters",
        "What is meta-learned",
        findings.about.get("groups", ())[:_PANELS],
    )


def _figure(findings: Findings, slug: str, title: str, series: Sequence[str]) -> FigureSpec | None:
    found = rows(findings, "learning")
    found = found[found["series"].isin(series)] if len(found) else found
    if findings.kind == "run" or measured(findings) or not len(found):
        return None  # where noise was measured, the returns stand beside it
    seeds = findings.scale.get("seeds", 1)
    return FigureSpec(
        slug=slug,
        title=title,
        caption=f"Mean over {seeds} seeds, smoothed; band: ±1 s.d. over seeds.",
        rows=found.to_dict("records"),
        draw=lambda: _draw(findings, list(series)),
    )


def _draw(findings: Findings, series: list[str]) -> Figure:
    if len(series) == 1:
        figure, axes = panels(1, columns=1, height=3.2, width=5.4)
    else:
        figure, axes = panels(len(series), height=2.5)
    for axis, name in zip(axes, series, strict=True):
        draw_curves(axis, findings, name, findings.configurations)
    if len(findings.configurations) > 1:
        legend(axes[0], below=3)
    return figure


def draw_curves(axis: Axes, findings: Findings, series: str, configurations: Sequence[str]) -> None:
    """One series over training, a line with its band per configuration."""
    looks, shown = colours(findings.configurations), []
    for code in configurations:
        own = rows(findings, "learning", series=series, configuration=code)
        x, mean, deviation = (column(own, key) for key in ("iteration", "mean", "deviation"))
        low, high = mean - np.nan_to_num(deviation), mean + np.nan_to_num(deviation)
        floor = np.nanmin(mean, initial=np.inf)
        low = np.where(low > 0, low, floor / 2) if 0 < floor < np.inf else low
        look = {"label": names.configuration(code), "linewidth": 1.5}
        line_with_band(axis, x, mean, low, high, colour=looks[code], **look)
        shown.append(mean)
    everything = np.concatenate(shown) if shown else np.empty(0)
    finite = everything[np.isfinite(everything)]
    wide = finite.size and finite.min() > 0 and finite.max() / finite.min() > _DECADES
    (log_axis if wide else linear_axis)(axis, "y")
    iteration_axis(axis)
    axis.set_title(names.title(names.parameter(series)))
