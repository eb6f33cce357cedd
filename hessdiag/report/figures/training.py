"""A run's training: the headline metric and the hyper-parameters."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import iteration_axis, linear_axis, panels, thin
from hessdiag.report.figures.palette import CATEGORIES, MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import column

_PANELS = 5  # of hyper-parameters
_POINTS = 1000


def training(findings: Findings) -> FigureSpec | None:
    """The metric with its running mean, and what is meta-learned."""
    metrics = next(iter(findings.metrics.values()), pd.DataFrame())
    headline = f"metrics.{findings.about.get('headline', 'return')}"
    if findings.kind != "run" or not np.isfinite(column(metrics, headline)).any():
        return None
    metric = names.parameter(headline.partition(".")[2])
    return FigureSpec(
        slug="training",
        title="Training",
        caption=(
            f"Points: {metric} at each iteration; line: running mean. Hyper-parameters are those "
            "in force, dashed where they started. One seed, so no error bars."
        ),
        rows=metrics.to_dict("records"),
        draw=lambda: _draw(metrics, headline),
    )


def _draw(metrics: pd.DataFrame, headline: str) -> Figure:
    hyper = [name for name in metrics if str(name).startswith("hyper.")][:_PANELS]
    figure, axes = panels(1 + len(hyper), columns=3, height=2.2, width=9.6)
    kept = thin(len(metrics), most=_POINTS)
    x, y = column(metrics, "iteration")[kept], column(metrics, headline)
    axes[0].plot(x, y[kept], ".", color=MUTED, alpha=0.55, markeredgewidth=0)
    mean = smooth(y, window=max(1, len(metrics) // 40))[kept]
    axes[0].plot(x, mean, color=CATEGORIES[0], linewidth=1.8)
    for axis, name in zip(axes[1:], hyper, strict=True):
        values = column(metrics, str(name))
        axis.axhline(values[0], color=MUTED, linestyle=(0, (4, 3)), linewidth=0.9)
        axis.plot(x, values[kept], color=CATEGORIES[0])
    for axis, name in zip(axes, (headline, *hyper), strict=True):
        axis.set_title(names.title(names.parameter(str(name).partition(".")[2])))
        linear_axis(axis, "y")
        iteration_axis(axis, ticks=3)
    return figure


def smooth(values: np.ndarray, *, window: int) -> np.ndarray:
    """A centred running mean that passes over gaps."""
    shown = pd.Series(values).rolling(window, center=True, min_periods=1)
    return np.asarray(shown.mean())
