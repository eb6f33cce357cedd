"""The learning curve."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, iteration_axis, linear_axis, panels, thin
from hessdiag.report.figures.palette import CATEGORIES, MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.run_data import RunData

_POINTS = 1500


def smooth(values: np.ndarray, *, window: int) -> np.ndarray:
    """A centred running mean that passes over gaps.

    Args:
        values: One value per logged iteration; NaN where there is none.
        window: How many logged iterations are averaged; fewer at both ends.

    Returns:
        The mean of what is there, NaN where a whole window is empty.
    """
    there = np.isfinite(values)
    totals = np.concatenate([[0.0], np.cumsum(np.where(there, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(there)])
    place = np.arange(len(values))
    first = np.maximum(place - (window - 1) // 2, 0)
    last = np.minimum(place + window // 2 + 1, len(values))
    count = counts[last] - counts[first]
    return np.where(count > 0, (totals[last] - totals[first]) / np.maximum(count, 1), np.nan)


def _values(data: RunData) -> np.ndarray:
    found = (record.get("metrics", {}).get(data.headline) for record in data.metrics)
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def _iterations(data: RunData) -> np.ndarray:
    return np.array([record["iteration"] for record in data.metrics])


def _window(data: RunData) -> int:
    return max(1, len(data.metrics) // 40)


def _rows(data: RunData) -> list[dict[str, Any]]:
    mean = smooth(_values(data), window=_window(data))
    return [
        {
            "iteration": record["iteration"],
            "learning_rate": record.get("learning_rate"),
            "inner_loss": record.get("inner_loss"),
            "outer_loss": record.get("outer_loss"),
            "meta_gradient_norm": record.get("meta_gradient_norm"),
            **record.get("metrics", {}),
            f"{data.headline}_running_mean": float(average),
        }
        for record, average in zip(data.metrics, mean, strict=True)
    ]


def _caption(data: RunData) -> str:
    empty = int(np.isnan(_values(data)).sum())
    gaps = (
        f" {empty} of {len(data.metrics)} logged iterations have no value (no episode finished in "
        "them) and are left out of the mean."
        if empty
        else ""
    )
    return (
        f"Pale points: {data.headline} at each logged iteration. Line: running mean over "
        f"{_window(data)} logged iterations. One run with one seed: there are no error bars here, "
        f"and the scatter of the points is not one.{gaps}"
    )


def _draw(data: RunData, layout: Layout) -> Figure:
    x, y = _iterations(data), _values(data)
    kept = thin(len(x), most=_POINTS)
    figure, (axis,) = panels(layout, 1, height=2.6)
    axis.plot(x[kept], y[kept], ".", color=MUTED, alpha=0.55, markersize=4, markeredgewidth=0)
    axis.plot(x[kept], smooth(y, window=_window(data))[kept], color=CATEGORIES[0], linewidth=1.8)
    axis.set_ylabel(data.headline)
    linear_axis(axis, "y")
    iteration_axis(axis)
    return figure


LEARNING_CURVE = FigureSpec(
    slug="learning-curve",
    title="Learning curve",
    caption=_caption,
    available=lambda data: bool(np.isfinite(_values(data)).any()),
    rows=_rows,
    draw=_draw,
)
