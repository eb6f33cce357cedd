"""Variants of one training: where they end, how far from the first, and how noisy they are."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names, select
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import INK
from hessdiag.report.figures.spec import FigureSpec, figure_spec

_PANELS = {"final": "at the end", "difference": "less the first", "noise": "noise of one estimate"}


def variants(findings: Findings) -> FigureSpec | None:
    """A row per variant; panels of what is known of two or more."""
    frame = select.rows(findings, "variants")
    shown = [name for name in _PANELS if np.isfinite(select.column(frame, name)).any()]
    if not shown:
        return None
    metric = names.parameter(str(frame["series"].iloc[0]))
    first = names.cut(str(frame["variant"].iloc[0]))
    words = {"metric": names.title(metric), "first": first}
    return figure_spec("variants", frame, lambda: _draw(frame, shown, metric), **words)


def _draw(frame: select.Frame, shown: list[str], metric: str) -> Figure:
    height = 1.0 + 0.28 * len(frame)
    figure, axes = canvas.panels(len(shown), columns=len(shown), height=height, width=9.6)
    for axis, name in zip(axes, shown, strict=True):
        _draw_panel(axis, frame, name)
        of = "" if name == "noise" else f"{metric} "
        axis.set_title(names.title(f"{of}{_PANELS[name]}"))
    return figure


def _draw_panel(axis: Axes, frame: select.Frame, name: str) -> None:
    value, low, high = select.bounds(frame, name)
    y = np.arange(len(frame))
    axis.hlines(y, low, high, colors=INK, linewidth=1.2)
    axis.plot(value, y, "o", color=INK, markersize=4)
    if name == "difference":
        canvas.rule(axis, "x", 0.0)
    if name == "noise":
        canvas.factor_axis(axis, "x", 1.0, value, low)
    else:
        canvas.linear_axis(axis, "x")
    canvas.named_rows(axis, [names.candidate(code) for code in frame["variant"]])
