"""Norms of products of operators over the last inner steps, at the last probe."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import legend, log_axis, panels, signed_axis
from hessdiag.report.figures.looks import operator_colour, operator_marker
from hessdiag.report.figures.palette import MUTED, PAPER
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probe_rows import NORM, long_rows, operators
from hessdiag.report.select import early_middle_late, finite, iteration, probes

_VARIABLES = (
    NORM,
    "product_norm_error",
    "product_exceeds_one",
    "product_matvecs",
    "product_converged",
)
_SPREAD = 0.3  # of the distance between terms, over which operators are set apart


def products(findings: Findings) -> FigureSpec | None:
    """How far products of 1, 2, … inner steps stretch a perturbation, by operator."""
    found = [probe for probe in probes(findings, NORM) if probe.sizes["term"] > 2]
    if not found:
        return None
    return FigureSpec(
        slug="products",
        title="How far several inner steps stretch a perturbation",
        caption=(
            "Norm of the product over the last steps, minus one: zero is no growth. Bars: bounds "
            "on the numerical error; hollow where its sign is undecided."
        ),
        rows=long_rows(found, _VARIABLES, ("operator_unroll", "term", "operator")),
        draw=lambda: _draw([finite(probe) for probe in early_middle_late(found)]),
    )


def _draw(found: list[xr.Dataset]) -> Figure:
    codes = operators(found, NORM)
    found = [probe.isel(term=slice(1, None)) for probe in found]  # the first is the identity
    figure, axes = panels(len(found), columns=3, height=3.0, width=9.9)
    values = np.concatenate([probe[NORM].values.ravel() for probe in found])
    positive = bool((values[np.isfinite(values)] > 0).all())
    for axis, probe in zip(axes, found, strict=True):
        for place, code in enumerate(codes):
            shift = _SPREAD * ((place + 0.5) / len(codes) - 0.5)
            if code in operators([probe], NORM):
                _draw_operator(axis, probe.sel(operator=code), code, shift)
        axis.set_ylim(*_limits(values, positive=positive))
        if positive:
            log_axis(axis, "y")
        else:
            signed_axis(axis, "y", values)
            axis.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)
        axis.set_title(f"Iteration {iteration(probe):,}")
        axis.set_xlabel("inner steps multiplied")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    legend(axes[0])
    return figure


def _limits(values: np.ndarray, *, positive: bool) -> tuple[float, float]:
    held = values[np.isfinite(values)]
    if positive and held.size:
        return held.min() / 2, held.max() * 2
    held = np.append(held, 0.0)
    pad = 0.08 * (np.ptp(held) or 1.0)
    return held.min() - pad, held.max() + pad


def _draw_operator(axis: Axes, probe: xr.Dataset, code: str, shift: float) -> None:
    steps = probe["term"].values - 1 + shift
    probe = probe.transpose("operator_unroll", ...)
    for unroll in range(probe.sizes["operator_unroll"]):
        value = probe[NORM].values[unroll]
        error = np.nan_to_num(probe["product_norm_error"].values[unroll])
        decided = probe["product_exceeds_one"].values[unroll].astype(str) != "undecided"
        colour, marker = operator_colour(code), operator_marker(code)
        axis.vlines(steps, value - error, value + error, colors=colour, linewidth=1)
        axis.plot(steps, value, color=colour, linewidth=1, zorder=2)
        for chosen, fill in ((decided, colour), (~decided, PAPER)):
            look = {"color": colour, "markerfacecolor": fill, "zorder": 3}
            axis.plot(steps[chosen], value[chosen], marker, **look)
    axis.plot([], [], color=colour, marker=marker, linewidth=1, label=names.operator(code))
