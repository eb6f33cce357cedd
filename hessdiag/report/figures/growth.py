"""Growth of the standard deviation with the horizon, measured and predicted."""

from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hessdiag.report.csv_text import long_rows
from hessdiag.report.figures.canvas import Layout, legend_below, log_axis, panels
from hessdiag.report.figures.explanation_styles import styles
from hessdiag.report.figures.palette import INK, MUTED, PAPER
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.probes import (
    confidence,
    early_middle_late,
    having,
    headline_estimator,
    iteration,
    labels,
    last_horizon,
)
from hessdiag.report.run_data import RunData

_GROWTH = ("growth", "growth_low", "growth_high")
_PREDICTION = ("prediction", "prediction_low", "prediction_high")


def _probes(data: RunData) -> list[xr.Dataset]:
    return [probe for probe in having(data.probes, *_GROWTH) if last_horizon(probe) > 1]


def _rows(data: RunData) -> list[dict[str, Any]]:
    measured = long_rows(_probes(data), _GROWTH, ("estimator", "horizon"))
    predicted = long_rows(_probes(data), _PREDICTION, ("explanation", "horizon"))
    return measured + predicted


def _caption(data: RunData) -> str:
    probes = _probes(data)
    samples = probes[-1].attrs.get("samples", "?")
    return (
        "Standard deviation of the i-step meta-gradient divided by that of the 1-step "
        "meta-gradient at the same state, averaged over the meta-parameters; meta-gradients are "
        f"with respect to the unconstrained η. Bands: {confidence(probes)} bootstrap intervals "
        f"from K = {samples} independent unrolls. Coloured lines: what each explanation predicts, "
        "each scaled to one at horizon 1; thin bars: the spread of the prediction."
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    probes = early_middle_late(_probes(data))
    look = styles(labels(_probes(data), "explanation"))
    figure, axes = panels(layout, len(probes), height=3.0, sharey=True)
    for axis, probe in zip(axes, probes, strict=True):
        _draw_measured(axis, probe)
        _draw_predictions(axis, probe, look)
        axis.set_title(f"Iteration {iteration(probe):,}")
        axis.set_xlabel("horizon")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    log_axis(axes[0], "y")
    axes[0].set_ylabel("std relative to 1 step")
    legend_below(figure, axes[0], layout=layout, columns=3)
    return figure


def _draw_measured(axis: Axes, probe: xr.Dataset) -> None:
    x = probe["horizon"].values
    headline = headline_estimator(probe)
    for name in probe["estimator"].values.astype(str):
        at = probe.sel(estimator=name)
        value, low, high = (at[part].values for part in _GROWTH)
        main = name == headline
        colour = INK if main else MUTED
        axis.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
        axis.plot(
            x,
            value,
            color=colour,
            marker="o" if main else "s",
            markerfacecolor=colour if main else PAPER,
            linewidth=2.0 if main else 1.2,
            label=f"measured, {name}",
            zorder=4,
        )


def _draw_predictions(axis: Axes, probe: xr.Dataset, look: dict[str, dict[str, Any]]) -> None:
    if "prediction" not in probe:
        return
    x = probe["horizon"].values
    for name in probe["explanation"].values.astype(str):
        value, low, high = (probe[part].sel(explanation=name).values for part in _PREDICTION)
        axis.plot(x, value, label=name, **look[name])
        axis.vlines(x, low, high, colors=look[name]["color"], linewidth=0.8, alpha=0.7)


GROWTH = FigureSpec(
    slug="growth",
    title="Growth with the horizon: measured, and as each explanation predicts",
    caption=_caption,
    available=lambda data: bool(_probes(data)),
    rows=_rows,
    draw=_draw,
)
