"""The ends of the spectrum of I + H at every inner step, over training."""

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
from hessdiag.report.figures.palette import MUTED, PAPER, SHADE, sequence
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probes import having, iterations
from hessdiag.report.run_data import RunData

_RADIUS = "spectral_radius_minus_one"
_ENDS = ("paper_high", "paper_low")
_MOST_PROBES = 24
_SPREAD = 0.5  # share of the gap between probes over which inner steps are set apart

_VARIABLES = (
    *(f"{name}{suffix}" for name in (*_ENDS, _RADIUS) for suffix in ("", "_error")),
    *(f"hessian_{end}{suffix}" for end in ("min", "max") for suffix in ("", "_error")),
    "exceeds_one",
    "learning_rate",
    "matvecs",
    "converged",
    "symmetry_defect",
)


def _probes(data: RunData) -> list[xr.Dataset]:
    return having(data.probes, *_ENDS, _RADIUS)


def _rows(data: RunData) -> list[dict[str, Any]]:
    return long_rows(_probes(data), _VARIABLES, ("unroll", "inner_step"))


def _caption(data: RunData) -> str:
    probes = _probes(data)
    unrolls = max(probe.sizes["unroll"] for probe in probes)
    shown = (
        f" {_MOST_PROBES} of {len(probes)} probes are drawn, evenly spread; the CSV has all."
        if len(probes) > _MOST_PROBES
        else ""
    )
    return (
        "Left: largest (▲) and smallest (▼) eigenvalue of I + H_j, minus one; shaded: where the "
        "eigenvalues of H_j do not make a product grow, [−2, 0]. Right: spectral radius minus one; "
        "hollow where the error bar reaches both sides of one, so that the sign is undecided. "
        f"One marker per unroll ({unrolls} per probe), so the scatter of equal colours is the "
        "spread over batches; lines join their means. Error bars: bounds on the numerical error of "
        "each eigenvalue, not on its spread over batches; often smaller than the marker. They "
        "prove an eigenvalue there; that none lies further out rests on the start vectors, too. "
        f"Inner steps are set slightly apart sideways.{shown}"
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = _probes(data)
    probes = [probes[index] for index in thin(len(probes), most=_MOST_PROBES)]
    figure, (ends, radius) = panels(layout, 2, columns=2, height=3.3)
    x = iterations(probes).astype(float)
    _draw_ends(ends, probes, x)
    _draw_radius(radius, probes, x)
    for axis in (ends, radius):
        iteration_axis(axis)
    legend_below(figure, radius, layout=layout, columns=6)
    return figure


def _draw_ends(axis: Axes, probes: list[xr.Dataset], x: np.ndarray) -> None:
    for name, marker in zip(_ENDS, ("^", "v"), strict=True):
        _draw_steps(axis, probes, x, name, marker=marker)
    axis.set_title("Eigenvalues of I + H, minus 1")
    values = np.concatenate([probe[name].values.ravel() for probe in probes for name in _ENDS])
    axis.margins(y=0.08)
    signed_axis(axis, "y", values)
    low, high = axis.get_ylim()
    axis.axhspan(max(-2.0, low), 0.0, color=SHADE, zorder=0, linewidth=0)
    axis.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)
    if low < -2.0:
        axis.axhline(-2.0, color=MUTED, linewidth=0.9, zorder=1)
    axis.set_ylim(low, high)


def _draw_radius(axis: Axes, probes: list[xr.Dataset], x: np.ndarray) -> None:
    _draw_steps(axis, probes, x, _RADIUS, marker="o", named=True)
    axis.set_title("Spectral radius of I + H, minus 1")
    values = np.concatenate([probe[_RADIUS].values.ravel() for probe in probes])
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        log_axis(axis, "y")
    else:
        signed_axis(axis, "y", values)
        axis.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)


def _draw_steps(
    axis: Axes,
    probes: list[xr.Dataset],
    x: np.ndarray,
    name: str,
    *,
    marker: str,
    named: bool = False,
) -> None:
    count = max(probe.sizes["inner_step"] for probe in probes)
    listed = set(thin(count, most=6).tolist())
    values, errors = (_by_unroll(probes, f"{name}{end}") for end in ("", "_error"))
    undecided = _undecided(probes, name)
    for step in range(count):
        colour = sequence(step, count)
        held = [index for index, array in enumerate(values) if step < array.shape[1]]
        places = x[held] + _shift(step, count, x)
        means = [values[index][:, step].mean() for index in held]
        axis.plot(places, means, color=colour, linewidth=0.9, alpha=0.7)
        if named:
            label = f"inner step j = {step}" if step in listed else None
            axis.plot([], [], color=colour, marker=marker, linewidth=0.9, label=label)
        _draw_markers(
            axis,
            np.repeat(places, [len(values[index]) for index in held]),
            *(np.concatenate([a[i][:, step] for i in held]) for a in (values, errors, undecided)),
            marker=marker,
            colour=colour,
        )


def _draw_markers(
    axis: Axes,
    places: np.ndarray,
    values: np.ndarray,
    errors: np.ndarray,
    undecided: np.ndarray,
    *,
    marker: str,
    colour: str,
) -> None:
    axis.vlines(places, values - errors, values + errors, colors=colour, linewidth=0.9)
    for hollow in (False, True):
        chosen = undecided == hollow
        if chosen.any():
            axis.plot(
                places[chosen],
                values[chosen],
                marker,
                markersize=3.2,
                markeredgewidth=0.8,
                color=colour,
                markerfacecolor=PAPER if hollow else colour,
            )


def _by_unroll(probes: list[xr.Dataset], name: str) -> list[np.ndarray]:
    return [probe[name].transpose("unroll", "inner_step").values for probe in probes]


def _undecided(probes: list[xr.Dataset], name: str) -> list[np.ndarray]:
    if name == _RADIUS and all("exceeds_one" in probe for probe in probes):
        return [words.astype(str) == "undecided" for words in _by_unroll(probes, "exceeds_one")]
    return [np.zeros(values.shape, dtype=bool) for values in _by_unroll(probes, name)]


def _shift(step: int, count: int, x: np.ndarray) -> float:
    gap = float(np.diff(x).min()) if len(x) > 1 else 1.0
    return _SPREAD * gap * ((step + 0.5) / count - 0.5)


EXTREMES = FigureSpec(
    slug="eigenvalue-extremes",
    title="Ends of the spectrum of I + H at each inner step",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
