"""Figures of the front door's results."""

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import asinh_axis, signed_axis
from hessdiag.report.figures.palette import CATEGORIES, MUTED

_MARKERS = "osD^v"  # smaller ones over larger ones: equal operators stay visible


def spectrum_figure(data: xarray.Dataset) -> Figure:
    """Density and cumulative measure of a `SpectrumResult`, over an asinh axis of eigenvalues."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    density, cumulative = figure.subplots(1, 2)
    axis = data["grid"].values
    if not np.isfinite(axis).all():  # a product was not finite: there is nothing to draw
        return figure
    density.plot(axis, data["density"], color=CATEGORIES[0])
    density.set_title("Spectral density")
    largest = float(np.max(data["density"]))
    if largest > 0:
        density.set_yscale("log")
        density.set_ylim(1e-6 * largest, 3 * largest)
    total, error = data["cumulative"].values, np.nan_to_num(data["cumulative_error"].values)
    cumulative.plot(axis, total, color=CATEGORIES[0])
    cumulative.fill_between(axis, total - error, total + error, color=CATEGORIES[0], alpha=0.25)
    cumulative.set_title("Share of eigenvalues at or below")
    cumulative.set_ylim(-0.02, 1.02)
    width = 1e-3 * float(np.max(np.abs(axis))) or 1.0
    for panel in (density, cumulative):
        asinh_axis(panel, width)
        panel.set_xlabel("eigenvalue")
        for end in ("lowest", "highest"):
            panel.axvline(float(data[end]), color=MUTED, linewidth=0.8, linestyle=":")
    if "top_value" in data:
        heights = np.full(data.sizes["rank"], 2e-6 * largest)
        density.plot(data["top_value"], heights, "|", color=CATEGORIES[1], label="found one by one")
        density.legend(frameon=False)
    return figure


def inner_loop_figure(data: xarray.Dataset) -> Figure:
    """Spectral radius by inner step, norm of products by length, of an `InnerLoopResult`."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    radius, norm = figure.subplots(1, 2)
    first = data.isel(operator_unroll=0)
    _draw(radius, first, "inner_step", "operator_radius_minus_one", "operator_radius_estimate")
    radius.set_title("Spectral radius, minus one")
    radius.set_xlabel("inner step")
    if "product_norm_minus_one" in first:
        _draw(norm, first, "term", "product_norm_minus_one", "product_norm_error")
    norm.set_title("Norm of the product over the last i − 1 steps, minus one")
    norm.set_xlabel("term i")
    radius.legend(frameon=False)
    return figure


def _draw(axis: Axes, data: xarray.Dataset, over: str, name: str, error: str) -> None:
    values = data[name].transpose(over, "operator").values
    errors = data[error].transpose(over, "operator").values
    for k, operator in enumerate(data["operator"].values):
        axis.errorbar(
            data[over].values,
            values[:, k],
            yerr=errors[:, k],
            marker=_MARKERS[k],
            markersize=5.5 - k,
            linewidth=2.5 - 0.5 * k,
            color=CATEGORIES[k],
            label=str(operator),
        )
    signed_axis(axis, "y", values)
    axis.axhline(0.0, color=MUTED, linewidth=0.9)
