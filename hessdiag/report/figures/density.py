"""Spectral density of H, a probe at a time."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report.figures.canvas import legend, log_axis, panels, thin
from hessdiag.report.figures.palette import CATEGORIES
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.figures.spectrum_axis import (
    draw_interval,
    eigenvalues_of_h,
    linear_width,
    set_axis,
)
from hessdiag.report.probe_rows import long_rows
from hessdiag.report.select import finite, iteration, probes

_DECADES = 7
_SURE = 0.01  # a Ritz value counts as converged when its error is below this share of its size
_TABS = 8


def density(findings: Findings) -> FigureSpec | None:
    """Density of the eigenvalues of H at each probe, with the outliers that converged."""
    found = probes(findings, "density", "density_grid", "learning_rate")
    if not found:
        return None
    found = [found[index] for index in thin(len(found), most=_TABS)]
    return FigureSpec(
        slug="density",
        title="Spectral density of H",
        caption=(
            "Smoothed density, a line per unroll, at the first and the last inner step; ticks: "
            "converged outliers. Shaded: [−2, 0], where an eigenvalue makes nothing grow. Asinh "
            "axis: linear near zero."
        ),
        rows=long_rows(
            found, ("learning_rate", "density_grid", "density"), ("unroll", "inner_step", "grid")
        ),
        draw=lambda: _draw([finite(probe) for probe in found]),
        tabs=tuple(f"iteration {iteration(probe):,}" for probe in found),
    )


def shown_steps(probe: xr.Dataset) -> list[int]:
    """The first and the last inner step of a probe."""
    return sorted({0, probe.sizes["inner_step"] - 1})


def _draw(found: list[xr.Dataset]) -> Figure:
    figure, axes = panels(len(found), columns=1, height=3.2, width=5.4)
    width = linear_width(found)
    peaks = [_draw_density(axis, probe) for axis, probe in zip(axes, found, strict=True)]
    ends = [axis.get_xlim() for axis in axes]
    for axis, probe in zip(axes, found, strict=True):
        axis.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
        if max(peaks) > 0:
            axis.set_ylim(max(peaks) * 10.0**-_DECADES, max(peaks) * 4)
            log_axis(axis, "y")
        set_axis(axis, width)
        draw_interval(axis)
        axis.set(xlabel="eigenvalue of H", ylabel="density")
        axis.set_title(f"Iteration {iteration(probe):,}")
        legend(axis)
    return figure


def _draw_density(axis: Axes, probe: xr.Dataset) -> float:
    """The lines of one probe; the highest of them."""
    peak = 0.0
    for colour, step in zip(CATEGORIES, shown_steps(probe), strict=False):
        for unroll in range(probe.sizes["unroll"]):
            part = probe.isel(inner_step=step, unroll=unroll)
            rate = float(part["learning_rate"])
            if rate == 0 or not np.isfinite(rate):
                continue
            y = part["density"].values / rate  # per unit of H, not of the Hessian
            x = eigenvalues_of_h(part["density_grid"].values, rate)
            peak = max(peak, float(np.nanmax(y, initial=0.0)))
            label = f"inner step {step}" if unroll == 0 else None
            axis.plot(x, np.where(y > 0, y, np.nan), color=colour, linewidth=1, label=label)
        marks = converged_outliers(probe, step)
        axis.plot(
            marks,
            np.full(marks.size, 0.02),
            "|",
            color=colour,
            transform=axis.get_xaxis_transform(),
        )
    return peak


def converged_outliers(probe: xr.Dataset, step: int) -> np.ndarray:
    """Converged Ritz values of one inner step, over all unrolls and starts, as eigenvalues of H."""
    part = probe.isel(inner_step=step)
    value, error = (part[f"ritz_{name}"].values.ravel() for name in ("value", "error"))
    sure = np.isfinite(value) & (error <= _SURE * np.abs(value))
    return eigenvalues_of_h(value[sure], float(part["learning_rate"]))
