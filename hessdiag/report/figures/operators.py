"""What the optimiser applies: products of inner steps, eigenvalues, and radii by operator."""

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from hessdiag.analysis import Findings
from hessdiag.report import names, select
from hessdiag.report.figures import canvas
from hessdiag.report.figures.curvature import shown_steps
from hessdiag.report.figures.palette import INK, MUTED, PAPER, SHADE, operator_look, sequence
from hessdiag.report.figures.spec import FigureSpec, figure_spec

_PRODUCTS = tuple(f"product_{part}" for part in ("norm_error", "exceeds_one", "matvecs"))
_SPREAD = 0.3  # of the distance between terms, over which operators are set apart
_EXACT = ("update", "augmented")
_VALUES = tuple(f"operator_value_{part}" for part in ("real", "imag", "error", "estimate"))
_SMALL = 0.1  # of half a panel's side: up to here a value has a place, and a disc is drawn
_HIDDEN = 0.012  # of the same: a disc below this lies under its marker
_QUANTITIES = {
    "spectral radius": "Spectral radius of an inner step, minus 1",
    "norm of the longest product": "Norm of the product of all steps, minus 1",
}
_APART = 0.17  # of the distance between rows, from one operator to the next


def products(findings: Findings) -> FigureSpec | None:
    """How far products of 1, 2, … inner steps stretch a perturbation, by operator."""
    probes = [probe for probe in select.probes(findings, select.NORM) if probe.sizes["term"] > 2]
    if not probes:
        return None
    variables = (select.NORM, *_PRODUCTS, "product_converged")
    places = sorted({0, len(probes) // 2, len(probes) - 1})
    chosen = [select.finite(probes[place]) for place in places]
    rows = select.long_rows(probes, variables, ("operator_unroll", "term", "operator"))
    return figure_spec("products", rows, lambda: _draw_products(chosen))


def _draw_products(probes: list[xr.Dataset]) -> Figure:
    codes = select.operators(probes, select.NORM)
    probes = [probe.isel(term=slice(1, None)) for probe in probes]  # the first is the identity
    figure, axes = canvas.panels(len(probes), columns=3, height=3.0, width=9.9)
    values = np.concatenate([probe[select.NORM].values.ravel() for probe in probes])
    for axis, probe in zip(axes, probes, strict=True):
        for code, shift in zip(codes, canvas.apart(len(codes), _SPREAD), strict=True):
            if code in select.operators([probe], select.NORM):
                _draw_operator(axis, probe.sel(operator=code), code, shift)
        axis.set_ylim(*_limits(values[np.isfinite(values)]))
        canvas.excess_axis(axis, "y", values)
        axis.set_title(f"Iteration {select.iteration(probe):,}")
        axis.set_xlabel("inner steps multiplied")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    canvas.legend(axes[0])
    return figure


def _limits(known: np.ndarray) -> tuple[float, float]:
    low, high = known.min(initial=np.inf), known.max(initial=-np.inf)
    if 0 < low < np.inf:
        return low / 2, high * 2
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.08 * ((high - low) or 1.0)
    return low - pad, high + pad


def _draw_operator(axis: Axes, probe: xr.Dataset, code: str, shift: float) -> None:
    steps = probe["term"].values - 1 + shift
    look = operator_look(code)
    colour, marker = look["color"], look["marker"]
    for unroll in range(probe.sizes["operator_unroll"]):
        part = probe.isel(operator_unroll=unroll)
        value, error = part[select.NORM].values, np.nan_to_num(part["product_norm_error"].values)
        decided = part["product_exceeds_one"].values.astype(str) != "undecided"
        axis.vlines(steps, value - error, value + error, colors=colour, linewidth=1)
        axis.plot(steps, value, color=colour, linewidth=1, zorder=2)
        for chosen, fill in ((decided, colour), (~decided, PAPER)):
            dots = {"color": colour, "markerfacecolor": fill, "zorder": 3}
            axis.plot(steps[chosen], value[chosen], marker, **dots)
    axis.plot([], [], linewidth=1, **look)


def plane(findings: Findings) -> FigureSpec | None:
    """Eigenvalue estimates around one, with the unit circle, for the first and the last step."""
    probes = select.probes(findings, *_VALUES[:2])
    probes = [p for p in probes if set(_EXACT) & set(select.operators([p], _VALUES[0]))][-1:]
    if not probes:
        return None
    dimensions = ("operator_unroll", "inner_step", "operator", "operator_ritz")
    rows = select.long_rows(probes, _VALUES, dimensions)
    rows = [r for r in rows if r["operator"] in _EXACT and not math.isnan(r[_VALUES[0]])]
    last, iteration = select.finite(probes[0]), select.iteration(probes[0])
    return figure_spec("plane", rows, lambda: _draw_planes(last), iteration=iteration)


def _draw_planes(probe: xr.Dataset) -> Figure:
    codes = [name for name in _EXACT if name in select.operators([probe], _VALUES[0])]
    figure, axes = canvas.panels(len(codes), height=3.6, width=8.4)
    for axis, code in zip(axes, codes, strict=True):
        steps = {step: _values(probe, code, step) for step in shown_steps(probe)}
        half = _draw_plane(axis, *np.concatenate([parts[:2] for parts in steps.values()], axis=1))
        for step, (real, imag, error) in steps.items():
            look: dict[str, Any] = {"marker": "os"[step > 0]}
            look["color"] = sequence(step, probe.sizes["inner_step"])
            _draw_step(axis, real, imag, error, look, half=half)
            axis.plot([], [], linestyle="", markersize=4, label=f"inner step {step}", **look)
        axis.set(xlabel="real part, minus 1", ylabel="imaginary part")
        axis.set_title(names.title(names.operator(code)))
        canvas.legend(axis)
    return figure


def _values(probe: xr.Dataset, code: str, step: int) -> np.ndarray:
    """(3, values): real part minus one, imaginary part and first-order error of the finite ones."""
    real, imag, error = (
        select.of_operator(probe, _VALUES[part], code)[:, step].ravel() for part in (0, 1, 3)
    )
    error = error if error.size == real.size else np.full(real.size, np.nan)
    return np.stack([real, imag, error])[:, np.isfinite(real) & np.isfinite(imag)]


def _draw_plane(axis: Axes, real: np.ndarray, imag: np.ndarray) -> float:
    """The unit circle in a square that holds one and all values; half of its side."""
    left, right = real.min(initial=0.0), real.max(initial=0.0)
    half = 1.15 * max((right - left) / 2, np.abs(imag).max(initial=0.0)) or 1.0
    middle = (left + right) / 2
    axis.set(xlim=(middle - half, middle + half), ylim=(-half, half), aspect="equal")
    angle = np.pi * np.linspace(-1.0, 1.0, 241) ** 3  # densest around one
    x, y = np.cos(angle) - 1, np.sin(angle)
    axis.fill(x, y, color=SHADE, zorder=0, linewidth=0)
    axis.plot(x, y, color=MUTED, linewidth=0.8, zorder=1)
    axis.plot(0.0, 0.0, "+", color=INK, markersize=7, markeredgewidth=0.9, zorder=2)
    for which in "xy":
        canvas.set_ticks(axis, which, MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    return half


def _draw_step(axis: Axes, real, imag, error, look: dict[str, Any], *, half: float) -> None:
    """Discs of first-order errors; markers that are full outside the unit circle."""
    drawn = (error > _HIDDEN * half) & (error <= _SMALL * half)
    sized = zip(real[drawn], imag[drawn], error[drawn], strict=True)
    discs = [Circle((x, y), size) for x, y, size in sized]
    axis.add_collection(PatchCollection(discs, facecolor=look["color"], alpha=0.16, linewidth=0))
    excess = np.abs(1 + real + 1j * imag) - 1
    vague = error > _SMALL * half
    for chosen, size, fill in (
        (vague, 1.6, look["color"]),
        (~vague & (excess <= 0), 3.0, PAPER),
        (~vague & (excess > 0), 4.2, look["color"]),
    ):
        dots = {"markersize": size, "markerfacecolor": fill, "zorder": 4, "markeredgewidth": 0.8}
        axis.plot(real[chosen], imag[chosen], linestyle="", **dots, **look)


def radii(findings: Findings) -> FigureSpec | None:
    """Median and largest by configuration and operator, for the steps and for their product."""
    frame = select.rows(findings, "curvature", when="all")
    if findings.kind == "run" or not len(frame) or frame["operator"].nunique() < 2:
        return None
    return figure_spec("radii", frame, lambda: _draw_radii(frame))


def _draw_radii(frame: select.Frame) -> Figure:
    shown = [name for name in _QUANTITIES if (frame["quantity"] == name).any()]
    configurations = list(dict.fromkeys(frame["configuration"]))
    sizes = {"height": 0.9 + 0.6 * len(configurations), "width": 9.6 if len(shown) > 1 else 5.4}
    figure, axes = canvas.panels(len(shown), columns=len(shown), **sizes)
    for axis, quantity in zip(axes, shown, strict=True):
        _draw_quantity(axis, frame[frame["quantity"] == quantity], configurations)
        axis.set_title(_QUANTITIES[quantity])
    canvas.legend(axes[0], below=2)
    return figure


def _draw_quantity(axis: Axes, frame: select.Frame, configurations: list[str]) -> None:
    groups = frame.groupby("operator", sort=False)
    shifts = canvas.apart(len(groups), _APART * len(groups))
    for shift, (operator, held) in zip(shifts, groups, strict=True):
        y = np.array([configurations.index(name) for name in held["configuration"]]) + shift
        median, largest, error = select.columns(held, "median", "largest", "largest_error")
        look: dict[str, Any] = operator_look(operator) | {"linestyle": ""}
        axis.hlines(y, median, largest, colors=look["color"], linewidth=0.9, alpha=0.6)
        axis.hlines(y, largest - error, largest + error, colors=look["color"], linewidth=2.6)
        axis.plot(median, y, **(look | {"markerfacecolor": PAPER, "label": None}))
        axis.plot(largest, y, **look)
    values = np.concatenate(select.columns(frame, "median", "largest"))
    canvas.excess_axis(axis, "x", values, width=np.nanmin(np.abs(values[values != 0]), initial=1.0))
    canvas.named_rows(axis, [names.configuration(code) for code in configurations])
