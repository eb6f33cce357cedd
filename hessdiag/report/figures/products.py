"""Norms of products of operators over the last inner steps, early, middle and late."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, legend_below, panels, signed_axis
from hessdiag.report.figures.operator_marks import (
    draw_bars,
    draw_markers,
    operator_colour,
    operator_label,
    operator_marker,
)
from hessdiag.report.figures.palette import MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.operators import NORM, operator_names, products_of_radii
from hessdiag.report.probes import early_middle_late, having, iteration
from hessdiag.report.run_data import RunData

_RADII = "radius_product_minus_one"
_DIMENSIONS = ("operator_unroll", "term", "operator")
_SPREAD = 0.3  # of the distance between terms, over which operators are set apart
_VARIABLES = (
    NORM,
    "product_norm_error",
    "product_exceeds_one",
    _RADII,
    "product_matvecs",
    "product_converged",
)


def _probes(data: RunData) -> list[xr.Dataset]:
    found = [probe for probe in having(data.probes, NORM) if probe.sizes["term"] > 1]
    return [products_of_radii(probe) for probe in found]


def _rows(data: RunData) -> list[dict[str, Any]]:
    return long_rows(_probes(data), _VARIABLES, _DIMENSIONS)


def _caption(data: RunData) -> str:
    probes = _probes(data)
    radii = (
        " Dotted: Π ρ over the same inner steps, minus one, which is what eigenvalues alone would "
        "have one expect. It bounds the norm for the paper’s symmetric matrices and for no other: "
        "a norm above it is growth that the eigenvalues do not show."
        if having(probes, _RADII)
        else ""
    )
    memory = (
        " Augmented: a perturbation of θ alone, through the optimiser’s memory, to θ."
        if "augmented" in operator_names(probes, NORM)
        else ""
    )
    return (
        "Largest factor by which P_i stretches a perturbation of θ, minus one. P_i is the product "
        "over the last i − 1 inner steps, as in term i of eq. 11; P_1 = I, so that every line "
        "starts at zero, about which the axis is linear. Norms are those of the "
        "parameters themselves: an operator that is normal in balanced coordinates can stretch by "
        f"more than ρ here, and growth that later ends is in them, too.{memory}{radii} Bars: "
        "bounds on the numerical error, often smaller than the marker; hollow where the bar "
        "reaches both sides of one. They prove that P_i stretches so much; that it stretches no "
        f"more rests on the start vector, too. On the batches of {_unrolls(probes)}; no bar is a "
        "spread over batches."
    )


def _unrolls(probes: list[xr.Dataset]) -> str:
    most = max(probe.sizes["operator_unroll"] for probe in probes)
    return f"{most} unrolls, a line for each" if most > 1 else "one unroll"


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = early_middle_late(_probes(data))
    names = operator_names(probes, NORM)
    figure, axes = panels(layout, len(probes), height=3.0, sharey=True)
    for axis, probe in zip(axes, probes, strict=True):
        for name in names:
            _draw_operator(axis, probe, names, name)
        axis.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)
        axis.set_title(f"Iteration {iteration(probe):,}")
        axis.set_xlabel("term i")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    values = [probe[name].values.ravel() for probe in probes for name in _drawn(probe)]
    axes[0].margins(y=0.08)
    signed_axis(axes[0], "y", np.concatenate(values))
    axes[0].set_ylabel("norm of the product, minus 1")
    _name(axes[0], names, radii=bool(having(probes, _RADII)))
    legend_below(figure, axes[0], layout=layout, columns=5)
    return figure


def _drawn(probe: xr.Dataset) -> list[str]:
    return [name for name in (NORM, _RADII) if name in probe]


def _draw_operator(axis: Axes, probe: xr.Dataset, names: list[str], name: str) -> None:
    if name not in probe["operator"].values.astype(str):
        return
    at = probe.sel(operator=name).transpose("operator_unroll", ...)
    shift = _SPREAD * ((names.index(name) + 0.5) / len(names) - 0.5)
    x = probe["term"].values + shift
    colour = operator_colour(name)
    for unroll in range(probe.sizes["operator_unroll"]):
        value = at[NORM].values[unroll]
        error = _of_unroll(at, "product_norm_error", unroll, np.nan)
        words = _of_unroll(at, "product_exceeds_one", unroll, "yes").astype(str)
        certain = np.where(words == "undecided", 0, 2)
        draw_bars(axis, x, value, error, np.ones(x.shape, dtype=bool), name)
        axis.plot(x, value, color=colour, linewidth=1, zorder=2)
        draw_markers(axis, x, value, certain, name)
        if _RADII in at:
            axis.plot(x, at[_RADII].values[unroll], color=colour, linestyle=":", linewidth=1.1)


def _of_unroll(at: xr.Dataset, variable: str, unroll: int, otherwise: Any) -> np.ndarray:
    if variable in at:
        return at[variable].values[unroll]
    return np.full(at.sizes["term"], otherwise)


def _name(axis: Axes, names: list[str], *, radii: bool) -> None:
    for name in names:
        look = {"color": operator_colour(name), "marker": operator_marker(name), "linewidth": 1}
        axis.plot([], [], markersize=3.8, label=operator_label(name), **look)
    if radii:
        axis.plot([], [], color=MUTED, linestyle=":", linewidth=1.1, label="by the radii alone")


PRODUCTS = FigureSpec(
    slug="products",
    title="Norms of the products over the last inner steps: early, middle, late",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
