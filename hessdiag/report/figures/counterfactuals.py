"""Growth of the standard deviation when paths of the derivative are cut."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, legend_below, log_axis, panels
from hessdiag.report.figures.palette import CATEGORIES, INK
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probes import confidence, early_middle_late, having, iteration, labels
from hessdiag.report.run_data import RunData

_GROWTH = ("cut_growth", "cut_growth_low", "cut_growth_high")
_REMOVED = ("cut_removed", "cut_removed_low", "cut_removed_high")
_DODGE = 0.07  # of the gap between cuts, so that their error bars stay apart


def _probes(data: RunData) -> list[xr.Dataset]:
    return [p for p in having(data.probes, *_GROWTH) if p.sizes["cut_horizon"] > 1]


def _rows(data: RunData) -> list[dict[str, Any]]:
    return long_rows(_probes(data), (*_GROWTH, *_REMOVED), ("cut", "cut_horizon"))


def _caption(data: RunData) -> str:
    probes = _probes(data)
    return (
        "Standard deviation of the i-step meta-gradient over that of the 1-step one under the same "
        "cut, averaged over the meta-parameters. A cut changes the derivative alone: rollouts, "
        "losses and updates are the same to the last bit, and all cuts see the same "
        f"K = {probes[-1].attrs.get('samples', '?')} samples. Where a cut brings the growth down, "
        f"its path carried it. Bars: {confidence(probes)} bootstrap intervals."
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = early_middle_late(_probes(data))
    cuts = labels(probes, "cut")
    figure, axes = panels(layout, len(probes), height=3.0, sharey=True)
    for axis, probe in zip(axes, probes, strict=True):
        horizons = probe["cut_horizon"].values
        for k, cut in enumerate(cuts):
            if cut not in probe["cut"].values.astype(str):
                continue
            value, low, high = (probe[name].sel(cut=cut).values for name in _GROWTH)
            x = np.arange(len(horizons)) + _DODGE * (k - (len(cuts) - 1) / 2)
            colour = INK if cut == "full" else CATEGORIES[(k - 1) % len(CATEGORIES)]
            axis.vlines(x, low, high, colors=colour, linewidth=1.2, alpha=0.7)
            axis.plot(
                x,
                value,
                color=colour,
                marker="o",
                linewidth=2.0 if cut == "full" else 1.2,
                label=cut,
            )
        axis.set_xticks(np.arange(len(horizons)), [str(horizon) for horizon in horizons])
        axis.set_title(f"Iteration {iteration(probe):,}")
        axis.set_xlabel("horizon")
    log_axis(axes[0], "y")
    axes[0].set_ylabel("std relative to 1 step")
    legend_below(figure, axes[0], layout=layout, columns=4)
    return figure


COUNTERFACTUALS = FigureSpec(
    slug="counterfactuals",
    title="Growth when paths of the derivative are cut",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
