"""Spectral radii and departures from normality of every operator, over training."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import (
    Layout,
    iteration_axis,
    legend_below,
    log_axis,
    panels,
    signed_axis,
    thin,
)
from hessdiag.report.figures.operator_marks import (
    draw_bars,
    draw_markers,
    operator_colour,
    operator_label,
    operator_marker,
)
from hessdiag.report.figures.palette import MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.operators import (
    RADIUS,
    certainty,
    of_operator,
    operator_names,
    relative_departure,
    shown_error,
)
from hessdiag.report.probes import having, iterations
from hessdiag.report.run_data import RunData

_MOST_PROBES = 16
_SPREAD = 0.66  # share of the gap between probes over which operators and steps are set apart
_RELATIVE = "relative_departure"

_VARIABLES = (
    RADIUS,
    "operator_radius_error",
    "operator_radius_estimate",
    "operator_exceeds_one",
    "operator_exceeds_one_first_order",
    "departure",
    "departure_se",
    "operator_frobenius",
    _RELATIVE,
    f"{_RELATIVE}_se",
    "operator_matvecs",
    "operator_converged",
)


def _probes(data: RunData) -> list[xr.Dataset]:
    """The probes that compare operators: the paper's alone has figures of its own."""
    probes = having(data.probes, RADIUS)
    found = [relative_departure(probe) for probe in probes]
    return found if set(operator_names(probes)) - {"paper"} else []


def _rows(data: RunData) -> list[dict[str, Any]]:
    return long_rows(_probes(data), _VARIABLES, ("operator_unroll", "inner_step", "operator"))


def _caption(data: RunData) -> str:
    probes = _probes(data)
    departure = _departure_words(probes)
    return (
        f"{'Left: s' if departure else 'S'}pectral radius ρ of every operator A, minus one: a "
        f"marker per inner step{_unrolls(probes)}, from left to right, and a line through their "
        "means. Solid bars: bounds on the numerical error. Where a bound says nothing, being "
        "larger than the value and than the first-order error, a dotted bar shows the latter, "
        "which bounds nothing. Full marker: the bound settles on which side of one ρ lies; half "
        "full: only the first-order error does; hollow: neither. The bound proves ρ > 1; ρ < 1 "
        "rests on the start vector of the run, too, half random and half the last inner step's: it "
        f"has to have a part in the outermost eigenvector. {departure}Every eigenvalue belongs to "
        "the batch of its own inner step; no bar is a spread over batches."
        f"{_thinned(probes)}"
    )


def _unrolls(probes: list[xr.Dataset]) -> str:
    most = max(probe.sizes["operator_unroll"] for probe in probes)
    return f" of {most} unrolls" if most > 1 else " of one unroll"


def _departure_words(probes: list[xr.Dataset]) -> str:
    if not having(probes, _RELATIVE):
        return ""
    symmetric = (
        "; zero, and not drawn, for the paper’s symmetric matrix"
        if "paper" in operator_names(probes)
        else ""
    )
    return (
        "Right: departure from normality over the norm of A − I (both Frobenius), ± one standard "
        "error over random probes: how far eigenvalues and norms can differ in balanced "
        "coordinates, a diagonal rescaling that keeps the eigenvalues. Near zero, ρ is the norm "
        "there; near one, products can grow for many steps though ρ < 1. What is drawn is an upper "
        f"bound on it{symmetric}. "
    )


def _thinned(probes: list[xr.Dataset]) -> str:
    if len(probes) <= _MOST_PROBES:
        return ""
    return f" {_MOST_PROBES} of {len(probes)} probes are drawn, evenly spread; the CSV has all."


def _draw(data: RunData, layout: Layout) -> Figure:
    found = _probes(data)
    probes = [found[index] for index in thin(len(found), most=_MOST_PROBES)]
    with_departure = bool(having(probes, _RELATIVE))
    figure, axes = panels(layout, 1 + with_departure, columns=2, height=3.3)
    _draw_radii(axes[0], probes)
    if with_departure:
        _draw_departures(axes[1], probes)
        axes[1].set_xlim(axes[0].get_xlim())
    for axis in axes:
        iteration_axis(axis)
        if len(probes) == 1:
            axis.set_xticks(iterations(probes))
    legend_below(figure, axes[0], layout=layout, columns=4)
    return figure


def _draw_radii(axis: Axes, probes: list[xr.Dataset]) -> None:
    names = operator_names(probes)
    tops, values = [], []
    for name in names:
        x = _places(probes, names, name)
        value, bound, estimate = (
            _joined(probes, variable, name)
            for variable in (RADIUS, "operator_radius_error", "operator_radius_estimate")
        )
        error, bounded = shown_error(value, bound, estimate)
        draw_bars(axis, x, value, error, bounded, name)
        certain = np.concatenate([certainty(probe, name).ravel() for probe in probes])
        draw_markers(axis, x, value, certain, name)
        _draw_means(axis, probes, names, RADIUS, name)
        _name(axis, name)
        values.append(value)
        tops.append(value + np.nan_to_num(error))
    axis.set_title("Spectral radius, minus 1")
    _radius_axis(axis, np.concatenate(values), np.concatenate(tops))


def _draw_departures(axis: Axes, probes: list[xr.Dataset]) -> None:
    names = operator_names(probes)
    values = []
    for name in names:
        x = _places(probes, names, name)
        value, error = (_joined(probes, f"{_RELATIVE}{end}", name) for end in ("", "_se"))
        positive = value > 0  # the paper's is zero
        values.append(np.where(positive, value, np.nan))
        draw_bars(axis, x, values[-1], error, positive, name)
        draw_markers(axis, x, values[-1], np.full(x.shape, 2), name)
        if positive.any():
            _draw_means(axis, probes, names, _RELATIVE, name)
    axis.set_title("Departure from normality, relative")
    found = np.concatenate(values)
    _log_limits(axis, found, found)


def _draw_means(
    axis: Axes, probes: list[xr.Dataset], names: list[str], variable: str, name: str
) -> None:
    arrays = [of_operator(probe, variable, name) for probe in probes]
    means = [array.mean() if array.size else np.nan for array in arrays]
    x = iterations(probes).astype(float)
    x += _shift(x, names, name)
    axis.plot(x, means, color=operator_colour(name), linewidth=0.9, alpha=0.6, zorder=2)


def _name(axis: Axes, name: str) -> None:
    look = {"color": operator_colour(name), "marker": operator_marker(name), "linewidth": 0.9}
    axis.plot([], [], markersize=3.8, label=operator_label(name), **look)


def _places(probes: list[xr.Dataset], names: list[str], name: str) -> np.ndarray:
    """Where the markers of an operator stand: beside those of the others, step by step."""
    x = iterations(probes).astype(float)
    slot = _slot(x, names)
    places = []
    for at, probe in zip(x + _shift(x, names, name), probes, strict=True):
        shape = of_operator(probe, RADIUS, name).shape
        within = (np.arange(shape[1]) + 0.5) / max(shape[1], 1) - 0.5
        places.append(np.broadcast_to(at + 0.8 * slot * within, shape).ravel())
    return np.concatenate(places)


def _shift(x: np.ndarray, names: list[str], name: str) -> float:
    return _slot(x, names) * (names.index(name) - (len(names) - 1) / 2)


def _slot(x: np.ndarray, names: list[str]) -> float:
    return _SPREAD * (float(np.diff(x).min()) if len(x) > 1 else 1.0) / len(names)


def _joined(probes: list[xr.Dataset], variable: str, name: str) -> np.ndarray:
    return np.concatenate([of_operator(probe, variable, name).ravel() for probe in probes])


def _radius_axis(axis: Axes, values: np.ndarray, tops: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0:
        _log_limits(axis, values, tops)
        return
    axis.margins(y=0.08)
    signed_axis(axis, "y", values)
    axis.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)


def _log_limits(axis: Axes, values: np.ndarray, tops: np.ndarray) -> None:
    """A logarithmic axis from the smallest marker to the highest bar, whatever bars reach below."""
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size:
        axis.set_ylim(positive.min() / 2.5, max(np.nanmax(tops), positive.max()) * 2)
    log_axis(axis, "y")


OPERATORS = FigureSpec(
    slug="operators",
    title="Every operator of an inner step: spectral radius and departure from normality",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
