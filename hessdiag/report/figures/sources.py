"""Shares of the meta-gradient's variance by source of randomness."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, legend_below, panels
from hessdiag.report.figures.palette import CATEGORIES, INK, SEQUENCE
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probes import confidence, early_middle_late, having, iteration
from hessdiag.report.run_data import RunData

_ENDS = ("", "_low", "_high")
_TOTALS = {"validation_share": ("validation", INK), "inner_share": ("all inner", CATEGORIES[0])}


def _probes(data: RunData) -> list[xr.Dataset]:
    return having(data.probes, "validation_share", "inner_share", "step_share")


def _rows(data: RunData) -> list[dict[str, Any]]:
    probes = _probes(data)
    totals = [f"{name}{end}" for name in _TOTALS for end in _ENDS]
    steps = [f"step_share{end}" for end in _ENDS]
    return long_rows(probes, totals, ("horizon",)) + long_rows(
        probes, steps, ("horizon", "inner_step")
    )


def _caption(data: RunData) -> str:
    probes = _probes(data)
    return (
        "Share of the variance of the i-step meta-gradient, averaged over the meta-parameters: of "
        "the validation trajectories given the inner ones, of all inner trajectories, and of each "
        "inner step's trajectories alone. The first two sum to one; what the single steps lack of "
        "all inner trajectories is interaction between steps. Estimates are unbiased, and may "
        f"leave [0, 1]. Bars: {confidence(probes)} bootstrap intervals."
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = early_middle_late(_probes(data))
    figure, axes = panels(layout, len(probes), height=2.8, sharey=True)
    for axis, probe in zip(axes, probes, strict=True):
        x = probe["horizon"].values
        for name, (label, colour) in _TOTALS.items():
            _line(axis, x, probe, name, label, colour, width=2.0)
        steps = probe["inner_step"].values
        for j in steps:
            colour = SEQUENCE[int(j) * (len(SEQUENCE) - 1) // max(len(steps) - 1, 1)]
            _line(axis, x, probe.sel(inner_step=j), "step_share", f"step {j}", colour, width=1.0)
        axis.set_xticks(x)
        axis.axhline(0.0, color=INK, linewidth=0.7)
        axis.set_title(f"Iteration {iteration(probe):,}")
        axis.set_xlabel("horizon")
    axes[0].set_ylabel("share of the variance")
    legend_below(figure, axes[0], layout=layout, columns=4)
    return figure


def _line(axis, x, at: xr.Dataset, name: str, label: str, colour: str, *, width: float) -> None:
    value, low, high = (at[f"{name}{end}"].values for end in _ENDS)
    if not np.isfinite(value).any():
        return
    axis.vlines(x, low, high, colors=colour, linewidth=width, alpha=0.5)
    axis.plot(x, value, color=colour, marker="o", markersize=3, linewidth=width, label=label)


SOURCES = FigureSpec(
    slug="sources",
    title="Where the variance comes from",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
