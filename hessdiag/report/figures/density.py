"""Spectral density of H at an early, a middle and a late probe."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import NARROW, Layout, legend_below, log_axis, panels
from hessdiag.report.figures.palette import CATEGORIES, MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.figures.spectrum_axis import (
    draw_interval,
    eigenvalues_of_h,
    linear_width,
    set_axis,
)
from hessdiag.report.numbers import plain
from hessdiag.report.probes import early_middle_late, having, iteration
from hessdiag.report.run_data import RunData

_DECADES = 7
_SURE = 0.01  # a Ritz value counts as converged when its error is below this share of its size


def _probes(data: RunData) -> list[xr.Dataset]:
    return early_middle_late(having(data.probes, "density", "density_grid", "learning_rate"))


def shown_steps(probe: xr.Dataset) -> list[int]:
    """The first and the last inner step of a probe."""
    return sorted({0, probe.sizes["inner_step"] - 1})


def converged_outliers(probe: xr.Dataset, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Converged Ritz values of one inner step, over all unrolls and starts.

    Args:
        probe: One probe.
        step: The inner step.

    Returns:
        Eigenvalues of H and their shares of the spectrum.
    """
    if not {"ritz_value", "ritz_weight", "ritz_error"} <= set(probe):
        return np.empty(0), np.empty(0)
    at_step = probe.isel(inner_step=step)
    value, weight, error = (
        at_step[f"ritz_{name}"].values.ravel() for name in ("value", "weight", "error")
    )
    sure = np.isfinite(value) & (error <= _SURE * np.abs(value)) & (weight > 0)
    return eigenvalues_of_h(value[sure], float(at_step["learning_rate"])), weight[sure]


def _rows(data: RunData) -> list[dict[str, Any]]:
    names = ("learning_rate", "density_grid", "density")
    return long_rows(_probes(data), names, ("unroll", "inner_step", "grid"))


def _caption(data: RunData) -> str:
    number = data.config.get("problem", {}).get("parameters")
    one = (
        f"; one of the {number:,} eigenvalues is a share of {plain(1 / number, digits=2)} (dashed)"
        if number
        else ""
    )
    return (
        "Upper panels: density of the eigenvalues of H_j, on an asinh axis (linear near zero, "
        "logarithmic beyond), for the first and the last inner step; one thin line per unroll, so "
        "the distance between equal colours is the spread over batches. It is smoothed, and a "
        "smooth curve says nothing about single eigenvalues: see the lower panels. Lower panels: "
        f"stems at the converged Ritz values (error below {_SURE:.0%} of the value), with their "
        f"estimated share of the spectrum{one}. Shaded: [−2, 0], where an eigenvalue of H_j makes "
        "no product grow (“← −2”: the interval goes on to the left of the axis). No error bars: "
        "the next figure has them. The CSV gives the density of the Hessian, not yet times −α."
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = _probes(data)
    width = linear_width(probes)
    across = 1 if layout is NARROW else len(probes)
    figure, axes = panels(layout, 2 * len(probes), columns=across, height=1.95, sharex=True)
    pairs = _pairs(axes, across)
    for (upper, lower), probe in zip(pairs, probes, strict=True):
        _draw_density(upper, probe)
        _draw_stems(lower, probe)
        _draw_one_eigenvalue(lower, data)
        upper.set_title(f"Iteration {iteration(probe):,}")
        lower.set_xlabel("eigenvalue of H")
    for pair in pairs:
        for axis in pair:
            set_axis(axis, width)
            draw_interval(axis, named=axis is pair[0])
    pairs[0][0].set_ylabel("density")
    pairs[0][1].set_ylabel("share of spectrum")
    legend_below(figure, pairs[-1][0], layout=layout)
    return figure


def _pairs(axes: list[Axes], across: int) -> list[tuple[Axes, Axes]]:
    if across == 1:
        return list(zip(axes[::2], axes[1::2], strict=True))
    return list(zip(axes[:across], axes[across:], strict=True))


def _draw_density(axis: Axes, probe: xr.Dataset) -> None:
    peak = 0.0
    for colour, step in zip(CATEGORIES, shown_steps(probe), strict=False):
        for unroll in range(probe.sizes["unroll"]):
            at = probe.isel(inner_step=step, unroll=unroll)
            rate = float(at["learning_rate"])
            if rate == 0 or not np.isfinite(rate):
                continue
            y = at["density"].values / rate  # a density per unit of H, not of the Hessian
            x = eigenvalues_of_h(at["density_grid"].values, rate)
            peak = max(peak, float(np.nanmax(y, initial=0.0)))
            label = f"inner step j = {step}" if unroll == 0 else None
            axis.plot(x, np.where(y > 0, y, np.nan), color=colour, linewidth=1, label=label)
    if peak > 0:
        axis.set_ylim(peak * 10.0**-_DECADES, peak * 4)
        log_axis(axis, "y")


def _draw_stems(axis: Axes, probe: xr.Dataset) -> None:
    found = []
    for colour, step in zip(CATEGORIES, shown_steps(probe), strict=False):
        x, weight = converged_outliers(probe, step)
        found.append(weight)
        axis.plot(x, weight, "o", color=colour, markersize=2.4)
        axis.vlines(x, 1e-30, weight, color=colour, linewidth=0.8, alpha=0.5)
    weights = np.concatenate(found)
    if weights.size:
        top = weights.max()
        axis.set_ylim(max(weights.min() / 4, top * 1e-5), top * 4)
        log_axis(axis, "y")
    else:
        axis.set_yticks([])
        note = {"transform": axis.transAxes, "color": MUTED, "fontsize": 8, "va": "top"}
        axis.text(0.04, 0.92, "no converged outlier", **note)


def _draw_one_eigenvalue(axis: Axes, data: RunData) -> None:
    number = data.config.get("problem", {}).get("parameters")
    if number and axis.get_yscale() == "log":
        axis.axhline(1 / number, color=MUTED, linestyle=(0, (4, 3)), linewidth=0.8, zorder=1)


DENSITY = FigureSpec(
    slug="spectral-density",
    title="Spectral density of H: early, middle, late",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
