"""Curvature of a run: density and ends of the spectrum of H, and spectral radii, by iteration."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import select
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES, MUTED, SHADE, operator_look
from hessdiag.report.figures.spec import FigureSpec, figure_spec

_ENDS = {"paper_high": ("^", "largest"), "paper_low": ("v", "smallest")}
_PAPER = "spectral_radius_minus_one"
_BOUNDED = tuple(f"{name}{end}" for name in (*_ENDS, _PAPER) for end in ("", "_error"))
_EDGE = -2.0  # of gradient descent: beyond it a single direction diverges
_DECADES = 7
_SURE = 0.01  # a Ritz value counts as converged when its error is below this share of its size
_TABS = 8
_SMALLEST_SHARE = 1e-4  # of the largest eigenvalue: the axis's linear part is never narrower


def extremes(findings: Findings) -> FigureSpec | None:
    """Ends of the spectrum with the stability edge, and radii of all operators, over training."""
    probes = select.probes(findings, *_ENDS)
    if not probes:
        return None
    rows = select.long_rows(probes, (*_BOUNDED, "exceeds_one"), ("unroll", "inner_step"))
    shown = [select.finite(probe) for probe in probes]
    return figure_spec("curvature", rows, lambda: _draw_extremes(shown))


def _draw_extremes(probes: list[xr.Dataset]) -> Figure:
    figure, (ends, radius) = canvas.panels(2, height=3.3)
    for (name, (marker, label)), colour in zip(_ENDS.items(), CATEGORIES, strict=False):
        for place, probe in enumerate(probes):
            value, error = (probe[key].values.ravel() for key in (name, f"{name}_error"))
            x, error = np.full(value.size, select.iteration(probe)), np.nan_to_num(error)
            ends.vlines(x, value - error, value + error, colors=colour, linewidth=0.9)
            look = {"color": colour, "alpha": 0.7, "label": None if place else label}
            ends.plot(x, value, marker, **look)
    values = np.concatenate([probe[name].values.ravel() for probe in probes for name in _ENDS])
    canvas.signed_axis(ends, "y", values)
    _shade(ends, "y", linewidth=0.9)
    ends.set_title("Largest and smallest eigenvalue of H")
    _draw_radii(radius, probes)
    for axis in (ends, radius):
        canvas.iteration_axis(axis)
        canvas.legend(axis, below=2)
    return figure


def _shade(axis: Axes, which: str, *, linewidth: float) -> bool:
    """Shade [−2, 0] of an axis, with lines at its ends; whether −2 is in sight."""
    low, high = limits = getattr(axis, f"get_{which}lim")()
    span = axis.axvspan if which == "x" else axis.axhspan
    span(max(_EDGE, low), min(0.0, high), color=SHADE, zorder=0, linewidth=0)
    canvas.rule(axis, which, 0.0, linewidth=linewidth)
    if low < _EDGE:
        canvas.rule(axis, which, _EDGE, linewidth=linewidth)
    getattr(axis, f"set_{which}lim")(*limits)
    return low < _EDGE


def _draw_radii(axis: Axes, probes: list[xr.Dataset]) -> None:
    """The largest over inner steps and unrolls, by operator; of I + H alone in older probes."""
    shown = []
    for code in select.operators(probes, select.RADIUS) or ["paper"]:
        x, value, error = np.array([_largest(probe, code) for probe in probes]).T
        look = operator_look(code)
        axis.vlines(x, value - error, value + error, colors=look["color"], linewidth=1.2)
        axis.plot(x, value, linewidth=1.0, **look)
        shown.append(value)
    canvas.excess_axis(axis, "y", np.concatenate(shown), span=10.0)
    axis.set_title("Largest spectral radius, minus 1")


def _largest(probe: xr.Dataset, code: str) -> tuple[float, float, float]:
    """Iteration, the largest radius of an operator, and its error."""
    value, bound, estimate = (
        select.of_operator(probe, name, code).ravel()
        for name in (select.RADIUS, "operator_radius_error", "operator_radius_estimate")
    )
    if not np.isfinite(value).any():
        if code != "paper" or _PAPER not in probe:
            return select.iteration(probe), np.nan, np.nan
        value = probe[_PAPER].values.ravel()
        bound = estimate = np.zeros(value.size)
    error, _ = select.shown_error(value, bound, estimate)
    place = int(np.nanargmax(value))
    return select.iteration(probe), value[place], float(np.nan_to_num(error[place]))


def density(findings: Findings) -> FigureSpec | None:
    """Density of the eigenvalues of H at each probe, with the outliers that converged."""
    probes = select.probes(findings, "density", "density_grid", "learning_rate")
    if not probes:
        return None
    probes = [probes[index] for index in canvas.thin(len(probes), most=_TABS)]
    variables = ("learning_rate", "density_grid", "density")
    rows = select.long_rows(probes, variables, ("unroll", "inner_step", "grid"))
    tabs = [f"iteration {select.iteration(probe):,}" for probe in probes]
    shown = [select.finite(probe) for probe in probes]
    return figure_spec("density", rows, lambda: _draw_densities(shown), tabs=tabs)


def shown_steps(probe: xr.Dataset) -> list[int]:
    """The first and the last inner step of a probe."""
    return sorted({0, probe.sizes["inner_step"] - 1})


def _draw_densities(probes: list[xr.Dataset]) -> Figure:
    figure, axes = canvas.panels(len(probes), columns=1, height=3.2, width=5.4)
    width = _linear_width(probes)
    peak = max(_draw_density(axis, probe) for axis, probe in zip(axes, probes, strict=True))
    lows, highs = zip(*(axis.get_xlim() for axis in axes), strict=True)
    for axis, probe in zip(axes, probes, strict=True):
        axis.set_xlim(min(lows), max(highs))
        if peak > 0:
            axis.set_ylim(peak * 10.0**-_DECADES, peak * 4)
            canvas.log_axis(axis, "y")
        canvas.asinh_axis(axis, width)
        if not _shade(axis, "x", linewidth=0.8):
            off = {"transform": axis.transAxes, "color": MUTED, "fontsize": 8.5, "va": "bottom"}
            axis.text(0.02, 0.5, "← −2", **off)
        axis.set(xlabel="eigenvalue of H", ylabel="density")
        axis.set_title(f"Iteration {select.iteration(probe):,}")
        canvas.legend(axis)
    return figure


def _draw_density(axis: Axes, probe: xr.Dataset) -> float:
    """The lines of one probe, with its converged outliers; the highest of the lines."""
    peak = 0.0
    for colour, step in zip(CATEGORIES, shown_steps(probe), strict=False):
        for unroll in range(probe.sizes["unroll"]):
            part = probe.isel(inner_step=step, unroll=unroll)
            rate = float(part["learning_rate"])
            if rate == 0 or not np.isfinite(rate):
                continue
            y = part["density"].values / rate  # per unit of H = −α∇²L, not of the Hessian
            peak = max(peak, float(np.nanmax(y, initial=0.0)))
            look = {"color": colour, "label": f"inner step {step}" if unroll == 0 else None}
            x = -rate * part["density_grid"].values
            axis.plot(x, np.where(y > 0, y, np.nan), linewidth=1, **look)
        part = probe.isel(inner_step=step)
        value, error = (part[f"ritz_{name}"].values.ravel() for name in ("value", "error"))
        converged = np.isfinite(value) & (error <= _SURE * np.abs(value))
        marks = -float(part["learning_rate"]) * value[converged]
        heights = np.full(marks.size, 0.02)
        axis.plot(marks, heights, "|", color=colour, transform=axis.get_xaxis_transform())
    return peak


def _linear_width(probes: list[xr.Dataset]) -> float:
    """Half the width of the axis's linear part: about where the bulk of the spectrum ends."""
    sizes, bulks = [0.0], []
    for probe in probes:
        grid = np.abs((probe["density_grid"] * probe["learning_rate"]).values)
        grid = np.where(np.isfinite(grid), grid, 0.0)
        sizes.append(float(np.max(grid, initial=0.0)))
        if "cumulative" in probe:
            share = probe["cumulative"].transpose(*probe["density_grid"].dims).values
            inside = (share > 0.1) & (share < 0.9)
            bulks.append(float(np.max(grid[inside], initial=0.0)))
    smallest = (max(sizes) or 1.0) * _SMALLEST_SHARE
    return max([*bulks, smallest, 1e-300])
