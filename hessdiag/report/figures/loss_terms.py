"""Ends of the spectrum of every term of the inner loss, beside those of the whole."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.analysis.loss_terms import WHOLE
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import looks
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.select import Frame, column, columns, rows

_ENDS = ("lowest", "highest")
_SPREAD = 0.6  # of the distance between rows, over which configurations are set apart


def ends(findings: Findings) -> FigureSpec | None:
    """A panel per phase of training, a row per term, a colour per configuration."""
    frame = rows(findings, "loss terms")
    if not len(frame):
        return None
    frame = frame[frame["when"] != "all"]
    return figure_spec("loss-terms", frame, lambda: _draw(findings, frame))


def _draw(findings: Findings, frame: Frame) -> Figure:
    phases, terms = ([*dict.fromkeys(frame[name])] for name in ("when", "term"))
    terms.sort(key=lambda term: term == WHOLE)
    height = 1.1 + 0.42 * len(terms)
    figure, axes = canvas.panels(len(phases), columns=len(phases), height=height, width=9.9)
    values = np.concatenate(columns(frame, *_ENDS))
    for axis, when in zip(axes, phases, strict=True):
        _draw_phase(axis, findings, frame[frame["when"] == when], terms)
        canvas.signed_axis(axis, "x", values)
        canvas.rule(axis, "x", 0.0)
        axis.set_xlim(*_limits(frame))
        axis.set_xlabel("eigenvalue times α")
        axis.set_title(f"{when.capitalize()} in training")
    if frame["configuration"].nunique() > 1:
        canvas.legend(axes[0], below=3)
    return figure


def _draw_phase(axis: Axes, findings: Findings, frame: Frame, terms: list[str]) -> None:
    """A thin line from the lowest to the highest, with a marker and the bound at both."""
    codes = [code for code in findings.configurations if (frame["configuration"] == code).any()]
    shifts = canvas.apart(len(codes), _SPREAD)
    for (code, look), shift in zip(looks(findings, codes).items(), shifts, strict=True):
        part = frame[frame["configuration"] == code]
        y = np.array([terms.index(term) for term in part["term"]]) + shift
        axis.hlines(y, *columns(part, *_ENDS), colors=look["color"], linewidth=0.9, alpha=0.6)
        for place, name in enumerate(_ENDS):
            value, error = columns(part, name, f"{name}_error")
            axis.hlines(y, value - error, value + error, colors=look["color"], linewidth=2.6)
            dots: dict[str, Any] = look | {"linestyle": "", "markersize": 4}
            dots["label"] = None if place else look["label"]
            axis.plot(value, y, **dots)
    canvas.named_rows(axis, terms)


def _limits(frame: Frame) -> tuple[float, float]:
    """The same of all panels: both ends with their bounds, and zero."""
    low = column(frame, "lowest") - column(frame, "lowest_error")
    high = column(frame, "highest") + column(frame, "highest_error")
    left, right = np.nanmin(low, initial=0.0), np.nanmax(high, initial=0.0)
    pad = 0.2 * ((right - left) or 1.0)
    return left - pad, right + pad
