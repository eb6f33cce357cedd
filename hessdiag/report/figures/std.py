"""Standard deviation of the meta-gradient over training, per meta-parameter."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, iteration_axis, legend_below, log_axis, panels
from hessdiag.report.figures.palette import CATEGORIES
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probes import confidence, having, iterations, labels, last_horizon
from hessdiag.report.run_data import RunData

_PANELS = 12
_DIMENSIONS = ("estimator", "horizon", "meta_parameter")
_STD = ("std", "std_low", "std_high")
_VARIABLES = tuple(
    f"{name}{end}" for name in ("std", "mean", "ratio") for end in ("", "_low", "_high")
)


def _probes(data: RunData) -> list[xr.Dataset]:
    return having(data.probes, *_STD)


def _rows(data: RunData) -> list[dict[str, Any]]:
    return long_rows(_probes(data), _VARIABLES, _DIMENSIONS)


def _caption(data: RunData) -> str:
    probes = _probes(data)
    names = labels(probes, "meta_parameter")
    more = f" The first {_PANELS} of {len(names)}; the CSV has all." if len(names) > _PANELS else ""
    return (
        "Standard deviation of the meta-gradient with respect to the unconstrained η, at each "
        f"probe. Bands: {confidence(probes)} bootstrap intervals over the "
        f"K = {probes[-1].attrs.get('samples', '?')} independent unrolls of a probe.{more}"
    )


def _lines(probe: xr.Dataset) -> list[tuple[str, int, str]]:
    n = last_horizon(probe)
    estimators = probe["estimator"].values.astype(str)
    lines = [(str(estimators[0]), 1, "1-step")]
    for name in estimators if n > 1 else ():
        lines.append((str(name), n, f"{n}-step" if name == "n-step" else f"{n}-step {name}"))
    return lines


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = _probes(data)
    names = labels(probes, "meta_parameter")[:_PANELS]
    columns = len(names) if len(names) <= 4 else 4
    figure, axes = panels(layout, len(names), columns=columns, height=2.3)
    for axis, name in zip(axes, names, strict=True):
        _draw_parameter(axis, probes, name)
        axis.set_title(name)
        iteration_axis(axis, ticks=3)
    axes[0].set_ylabel("std of meta-gradient")
    legend_below(figure, axes[0], layout=layout)
    return figure


def _draw_parameter(axis: Axes, probes: list[xr.Dataset], name: str) -> None:
    x = iterations(probes)
    for colour, (estimator, horizon, label) in zip(CATEGORIES, _lines(probes[-1]), strict=False):
        place = _place(probes[-1], estimator, horizon, name)
        value, low, high = (
            np.array([probe[part].values[place] for probe in probes]) for part in _STD
        )
        axis.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        marker = "o" if len(x) <= 30 else None
        axis.plot(x, value, color=colour, marker=marker, markersize=2.8, label=label)
    log_axis(axis, "y")


def _place(probe: xr.Dataset, *wanted: str | int) -> tuple[int, ...]:
    return tuple(
        probe[dimension].values.tolist().index(label)
        for dimension, label in zip(_DIMENSIONS, wanted, strict=True)
    )


STD = FigureSpec(
    slug="std",
    title="Standard deviation of the meta-gradient over training",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
