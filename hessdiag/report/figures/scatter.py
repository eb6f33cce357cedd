"""Measured against predicted growth, one point per probe."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, log_axis, panels
from hessdiag.report.figures.explanation_styles import family
from hessdiag.report.figures.palette import MUTED, sequence
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.numbers import plain
from hessdiag.report.probes import (
    confidence,
    having,
    headline_estimator,
    iteration,
    labels,
    last_horizon,
)
from hessdiag.report.run_data import RunData

_SIDES = ("measured", "predicted")
_ENDS = ("", "_low", "_high")


def compared(data: RunData) -> list[xr.Dataset]:
    """The probes that hold both measured and predicted growth beyond horizon 1."""
    probes = having(
        data.probes, *(f"{name}{end}" for name in ("growth", "prediction") for end in _ENDS)
    )
    return [probe for probe in probes if last_horizon(probe) > 1]


def comparisons(data: RunData) -> list[dict[str, Any]]:
    """Measured and predicted growth at the longest horizon.

    Args:
        data: The run.

    Returns:
        A row per explanation and probe: `explanation`, `iteration`, `horizon`, `measured`,
        `predicted`, and the ends of both intervals.
    """
    probes = compared(data)
    rows = [row for probe in probes for row in _probe_rows(probe)]
    order = labels(probes, "explanation")
    return sorted(rows, key=lambda row: order.index(row["explanation"]))


def _probe_rows(probe: xr.Dataset) -> list[dict[str, Any]]:
    at = probe.isel(horizon=-1)
    estimator = at["estimator"].values.tolist().index(headline_estimator(probe))
    measured = {f"measured{end}": float(at[f"growth{end}"].values[estimator]) for end in _ENDS}
    predicted = {end: at[f"prediction{end}"].values.tolist() for end in _ENDS}
    return [
        {"explanation": str(name), "iteration": iteration(probe), "horizon": last_horizon(probe)}
        | measured
        | {f"predicted{end}": predicted[end][place] for end in _ENDS}
        for place, name in enumerate(at["explanation"].values)
    ]


def _caption(data: RunData) -> str:
    probes = compared(data)
    method = next((c["method"] for c in _correlations(data).values() if c.get("method")), "rank")
    return (
        f"Growth at the longest horizon, n = {last_horizon(probes[-1])}, "
        f"{headline_estimator(probes[-1])} estimator: one point per probe, violet for early "
        "and green for late in training. Dashed: prediction equals measurement. Bars: "
        f"{confidence(probes)} bootstrap intervals (measured), spread of the prediction "
        f"(predicted). r: {method} correlation over the probes with its interval. "
        "A correlation does not need the points to be near the dashed line, and an explanation "
        "whose prediction never changes has none."
    )


def _correlations(data: RunData) -> dict[str, dict[str, Any]]:
    found = data.summary.get("correlation")
    return found if isinstance(found, dict) else {}


def correlation_text(data: RunData, explanation: str, *, short: bool = False) -> str:
    """`0.62 [0.31, 0.80], 12 probes`, or a dash where it was not computed."""
    found = _correlations(data).get(explanation) or {}
    value = found.get("value")
    if value is None or np.isnan(value):
        return "–"
    low, high = (plain(found.get(end), digits=2) for end in ("low", "high"))
    text = f"{plain(value, digits=2)} [{low}, {high}]"
    return f"r = {text}" if short else f"{text}, {found.get('probes', '?')} probes"


def _draw(data: RunData, layout: Layout) -> Figure:
    rows = comparisons(data)
    names = list(dict.fromkeys(row["explanation"] for row in rows))
    figure, axes = panels(layout, len(names), height=2.7)
    limits = _limits(rows)
    for axis, name in zip(axes, names, strict=True):
        _draw_explanation(axis, [row for row in rows if row["explanation"] == name])
        axis.plot(limits, limits, color=MUTED, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
        axis.set(xlim=limits, ylim=limits, xlabel="predicted growth", ylabel="measured growth")
        log_axis(axis, "x")
        log_axis(axis, "y")
        axis.set_title(_short(name))
        text = correlation_text(data, name, short=True)
        place = {"transform": axis.transAxes, "ha": "right", "va": "bottom"}
        axis.text(0.98, 0.03, text, fontsize=7.5, **place)
    return figure


def _draw_explanation(axis: Axes, rows: list[dict[str, Any]]) -> None:
    colours = [sequence(index, len(rows)) for index in range(len(rows))]
    at = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    x, y = at["predicted"], at["measured"]
    axis.hlines(y, at["predicted_low"], at["predicted_high"], colors=colours, linewidth=0.9)
    axis.vlines(x, at["measured_low"], at["measured_high"], colors=colours, linewidth=0.9)
    axis.scatter(x, y, c=colours, s=11, zorder=3)


def _limits(rows: list[dict[str, Any]]) -> tuple[float, float]:
    found = [row[f"{side}{end}"] for row in rows for side in _SIDES for end in _ENDS]
    values = np.array([value for value in found if np.isfinite(value) and value > 0])
    return (float(values.min()) / 1.25, float(values.max()) * 1.6) if values.size else (0.5, 2.0)


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{family(name)} {name[len(family(name)) + 1 :][:28]}…"


SCATTER = FigureSpec(
    slug="measured-predicted",
    title="Measured growth against predicted growth, over probes",
    caption=_caption,
    available=lambda data: bool(compared(data)),
    rows=comparisons,
    draw=_draw,
)
