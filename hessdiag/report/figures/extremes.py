"""Curvature over training: ends of the spectrum of H, and spectral radii by operator."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import iteration_axis, legend, log_axis, panels, signed_axis
from hessdiag.report.figures.looks import operator_colour, operator_marker
from hessdiag.report.figures.palette import CATEGORIES, MUTED, SHADE
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probe_rows import RADIUS, long_rows, of_operator, operators, shown_error
from hessdiag.report.select import finite, iteration, probes

_ENDS = {"paper_high": ("^", "largest"), "paper_low": ("v", "smallest")}
_PAPER = "spectral_radius_minus_one"
_BOUNDED = tuple(f"{name}{end}" for name in (*_ENDS, _PAPER) for end in ("", "_error"))
_EDGE = -2.0  # of gradient descent: beyond it a single direction diverges


def extremes(findings: Findings) -> FigureSpec | None:
    """Ends of the spectrum with the stability edge, and radii of all operators, over training."""
    found = probes(findings, *_ENDS)
    if not found:
        return None
    return FigureSpec(
        slug="curvature",
        title="Curvature over training",
        caption=(
            "Every inner step and unroll, with bounds on the numerical error. Shaded: eigenvalues "
            "of H between 0 and the stability edge at −2 make nothing grow. Right: a radius above "
            "zero can."
        ),
        rows=long_rows(found, (*_BOUNDED, "exceeds_one"), ("unroll", "inner_step")),
        draw=lambda: _draw([finite(probe) for probe in found]),
    )


def _draw(found: list[xr.Dataset]) -> Figure:
    figure, (ends, radius) = panels(2, height=3.3)
    for (name, (marker, label)), colour in zip(_ENDS.items(), CATEGORIES, strict=False):
        _draw_end(ends, found, name, marker=marker, colour=colour, label=label)
    values = np.concatenate([probe[name].values.ravel() for probe in found for name in _ENDS])
    signed_axis(ends, "y", values)
    low, high = ends.get_ylim()
    ends.axhspan(max(_EDGE, low), 0.0, color=SHADE, zorder=0, linewidth=0)
    if low < _EDGE:
        ends.axhline(_EDGE, color=MUTED, linewidth=0.9, zorder=1)
    ends.set_ylim(low, high)
    ends.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)
    ends.set_title("Largest and smallest eigenvalue of H")
    _draw_radii(radius, found)
    for axis in (ends, radius):
        iteration_axis(axis)
        legend(axis, below=2)
    return figure


def _draw_end(
    axis: Axes, found: list[xr.Dataset], name: str, *, marker: str, colour: str, label: str
) -> None:
    for place, probe in enumerate(found):
        value = probe[name].values.ravel()
        x = iteration(probe) * np.ones(value.size)
        error = np.nan_to_num(probe[f"{name}_error"].values.ravel())
        axis.vlines(x, value - error, value + error, colors=colour, linewidth=0.9)
        axis.plot(x, value, marker, color=colour, alpha=0.7, label=None if place else label)


def _draw_radii(axis: Axes, found: list[xr.Dataset]) -> None:
    """The largest over inner steps and unrolls, by operator; of I + H alone in older probes."""
    shown = []
    for code in operators(found, RADIUS) or ["paper"]:
        x, value, error = np.array([_largest(probe, code) for probe in found]).T
        colour = operator_colour(code)
        axis.vlines(x, value - error, value + error, colors=colour, linewidth=1.2)
        look = {"color": colour, "marker": operator_marker(code), "linewidth": 1.0}
        axis.plot(x, value, label=names.operator(code), **look)
        shown.append(value)
    values = np.concatenate(shown)
    known = values[np.isfinite(values)]
    if known.size and known.min() > 0 and known.max() > 10 * known.min():
        log_axis(axis, "y")
    else:
        signed_axis(axis, "y", values)
        axis.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)
    axis.set_title("Largest spectral radius, minus 1")


def _largest(probe: xr.Dataset, code: str) -> tuple[float, float, float]:
    value, bound, estimate = (
        of_operator(probe, name, code).ravel()
        for name in (RADIUS, "operator_radius_error", "operator_radius_estimate")
    )
    if not np.isfinite(value).any():
        if code != "paper" or _PAPER not in probe:
            return iteration(probe), np.nan, np.nan
        value = probe[_PAPER].values.ravel()
        bound = estimate = np.zeros(value.size)
    error, _ = shown_error(value, bound, estimate)
    at = int(np.nanargmax(value))
    return iteration(probe), value[at], float(np.nan_to_num(error[at]))
