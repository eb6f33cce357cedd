"""The horizontal axis of eigenvalues of H: from −2 and beyond to the smallest of them."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hessdiag.report.figures.canvas import signed_decades
from hessdiag.report.figures.palette import MUTED, SHADE
from hessdiag.report.numbers import power_tick

_SMALLEST_SHARE = 1e-4  # of the largest eigenvalue: the linear part is never narrower


def eigenvalues_of_h(hessian: np.ndarray, rate: float) -> np.ndarray:
    """H = −α∇²L: eigenvalues of H from those of the Hessian."""
    return -rate * hessian


def linear_width(probes: Sequence[xr.Dataset]) -> float:
    """Half the width of the axis's linear part: about where the bulk of the spectrum ends."""
    sizes, bulks = [0.0], []
    for probe in probes:
        rate = probe["learning_rate"]
        grid = np.abs((probe["density_grid"] * rate).values)
        grid = np.where(np.isfinite(grid), grid, 0.0)
        sizes.append(float(np.nanmax(grid, initial=0.0)))
        if "cumulative" in probe:
            share = probe["cumulative"].transpose(*probe["density_grid"].dims).values
            inside = (share > 0.1) & (share < 0.9)
            bulks.append(float(np.max(grid[inside], initial=0.0)))
    largest = max(sizes) or 1.0
    return max(*bulks, largest * _SMALLEST_SHARE, 1e-300) if bulks else largest * _SMALLEST_SHARE


def set_axis(axis: Axes, width: float) -> None:
    """An asinh axis with few, plainly labelled ticks."""
    axis.set_xscale("asinh", linear_width=width)
    low, high = axis.get_xlim()
    most = 5 if low < 0 < high else 4
    ticks = signed_decades(low, high, math.ceil(math.log10(width)), most=most)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(power_tick))


def draw_interval(axis: Axes, *, named: bool = True) -> None:
    """Shade [−2, 0]."""
    low, high = axis.get_xlim()
    axis.axvspan(max(-2.0, low), min(0.0, high), color=SHADE, zorder=0, linewidth=0)
    axis.axvline(0.0, color=MUTED, linewidth=0.8, zorder=1)
    if low < -2.0:
        axis.axvline(-2.0, color=MUTED, linewidth=0.8, zorder=1)
    elif named:
        off = {"transform": axis.transAxes, "color": MUTED, "fontsize": 8.5, "va": "bottom"}
        axis.text(0.02, 0.5, "← −2", **off)
    axis.set_xlim(low, high)
