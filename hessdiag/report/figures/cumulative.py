"""Cumulative spectral measure of H at an early, a middle and a late probe."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, legend_below, linear_axis, panels
from hessdiag.report.figures.density import shown_steps
from hessdiag.report.figures.palette import CATEGORIES, INK
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.figures.spectrum_axis import (
    draw_interval,
    eigenvalues_of_h,
    linear_width,
    set_axis,
)
from hessdiag.report.probes import early_middle_late, having, iteration
from hessdiag.report.run_data import RunData


def _probes(data: RunData) -> list[xr.Dataset]:
    names = ("cumulative", "cumulative_se", "density_grid", "learning_rate")
    return early_middle_late(having(data.probes, *names))


def _rows(data: RunData) -> list[dict[str, Any]]:
    names = ("learning_rate", "density_grid", "cumulative", "cumulative_se")
    return long_rows(_probes(data), names, ("unroll", "inner_step", "grid"))


def _caption(data: RunData) -> str:
    starts = max((probe.sizes.get("start", 0) for probe in _probes(data)), default=0)
    return (
        "Share of the eigenvalues of H_j that lie below each value, for the first and the last "
        "inner step; one line per unroll. Bands: ± one standard error over the "
        f"{starts or ''} random start vectors of each spectrum. Shaded: [−2, 0]; what rises to the "
        "right of it are directions in which I + H_j stretches. The CSV gives the measure of the "
        "Hessian itself: H_j is −α times it, so the order is reversed here."
    ).replace("the  random", "the random")


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = _probes(data)
    width = linear_width(probes)
    figure, axes = panels(layout, len(probes), height=2.3, sharex=True, sharey=True)
    for axis, probe in zip(axes, probes, strict=True):
        _draw_probe(axis, probe)
        axis.set_title(f"Iteration {iteration(probe):,}")
        axis.set_xlabel("eigenvalue of H")
        axis.set_ylim(-0.03, 1.03)
        linear_axis(axis, "y")
    for axis in axes:
        set_axis(axis, width)
        draw_interval(axis)
    axes[0].set_ylabel("cumulative share")
    legend_below(figure, axes[-1], layout=layout)
    return figure


def _draw_probe(axis: Axes, probe: xr.Dataset) -> None:
    for colour, step in zip(CATEGORIES, shown_steps(probe), strict=False):
        for unroll in range(probe.sizes["unroll"]):
            at = probe.isel(inner_step=step, unroll=unroll)
            x = eigenvalues_of_h(at["density_grid"].values, float(at["learning_rate"]))
            y, error = 1 - at["cumulative"].values, at["cumulative_se"].values
            label = f"inner step j = {step}" if unroll == 0 else None
            axis.plot(x, y, color=colour, linewidth=1, label=label)
            axis.fill_between(x, y - error, y + error, color=colour, alpha=0.18, linewidth=0)
    _draw_mass(axis, probe)


def _draw_mass(axis: Axes, probe: xr.Dataset) -> None:
    if "mass_above_zero" not in probe:
        return
    shares = probe["mass_above_zero"].values
    shares = shares[np.isfinite(shares)]
    if not shares.size:
        return
    share = float(shares.mean())
    text = f"{share:.1%} above 0".replace("%", " %")
    axis.text(0.03, 0.93, text, transform=axis.transAxes, color=INK, va="top", fontsize=8)


CUMULATIVE = FigureSpec(
    slug="cumulative-spectrum",
    title="Cumulative spectral measure of H: early, middle, late",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
