"""Estimators of the n-step meta-gradient: bias against standard deviation, at equal rollouts."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names, select
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES, INK, MUTED, SHADE
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.numbers import factor

_REFERENCE = "n-step"
_FAMILIES = {  # how the names of candidates begin; what a family is called, and its marker
    "last": ("last k terms", "o"),
    "mix": ("mix over κ", "s"),
    "trace": ("trace over μ", "D"),
    "no-": ("paths cut", "X"),
    "es": ("ES over σ", "^"),
    "validations": ("more validation batches", "v"),
}
_WITH_REFERENCE = ("last", "validations")  # all terms, and a single draw, are the n-step estimate
_FAR = 8.0  # bias or noise beyond is told, not drawn: it would press all else together
_MOST = 4  # panels
_TEN = 10  # estimates whose average is a second yardstick


def frontier(findings: Findings) -> FigureSpec | None:
    """A panel per configuration, a line per family of estimators."""
    frame = select.rows(findings, "frontier", when="all")
    shown = [code for code in findings.configurations if _rows(frame, code) is not None][:_MOST]
    if not shown:
        return None
    frame = frame[frame["configuration"].isin(shown)]
    last = frame.iloc[-1]
    over = f"{100 * findings.confidence:g} % over {last['count']} {last['over']}"
    return figure_spec("frontier", frame, partial(_draw, frame, shown), over=over)


def _rows(frame: select.Frame, configuration: str) -> select.Frame | None:
    """Those of one configuration; None where there is nothing beside the n-step estimate."""
    part = frame[frame["configuration"] == configuration] if len(frame) else frame
    return part if len(part) > 1 else None


def _draw(frame: select.Frame, shown: Sequence[str]) -> Figure:
    alone = len(shown) == 1
    sizes = {"columns": 1, "width": 6.4} if alone else {"columns": 2, "width": 9.6}
    figure, axes = canvas.panels(len(shown), height=3.9, **sizes)
    for axis, code in zip(axes, shown, strict=True):
        part = frame[frame["configuration"] == code]
        near = part[(part["noise"] <= _FAR) & (part["bias"] <= _FAR)]
        _draw_families(axis, near)
        _draw_axes(axis, near)
        _draw_yardsticks(axis)
        _name(axis, near)
        _tell_far(axis, part.drop(near.index))
        axis.set_title("" if alone and not code else names.configuration(code))
    canvas.legend(axes[0], below=3)
    return figure


def _families(frame: select.Frame) -> Iterator[tuple[str, select.Frame]]:
    """The rows of every family, from the least noise to the most.

    The n-step estimate is among those that it is one of.
    """
    for family in _FAMILIES:
        chosen = frame["candidate"].str.startswith(family)
        if chosen.any():
            chosen |= (frame["candidate"] == _REFERENCE) & (family in _WITH_REFERENCE)
            yield family, frame[chosen].sort_values("noise")


def _draw_families(axis: Axes, frame: select.Frame) -> None:
    colours = dict(zip(_FAMILIES, CATEGORIES, strict=False))
    for family, part in _families(frame):
        (label, marker), colour = _FAMILIES[family], colours[family]
        own = part[part["candidate"] != _REFERENCE]
        line = "" if family == "no-" else "-"
        x, y = select.columns(part, "bias", "noise")
        axis.plot(x, y, linestyle=line, color=colour, linewidth=1.2, zorder=2)
        (x, *ends), (y, *heights) = (select.bounds(own, name) for name in ("bias", "noise"))
        axis.hlines(y, *ends, colors=colour, linewidth=0.7, alpha=0.35)
        axis.vlines(x, *heights, colors=colour, linewidth=0.7, alpha=0.35)
        look = {"linestyle": "", "color": colour, "marker": marker, "markersize": 5, "zorder": 3}
        axis.plot(x, y, label=label, **look)
    axis.plot(0.0, 1.0, "*", color=INK, markersize=12, zorder=4, label="n-step")


def _draw_axes(axis: Axes, frame: select.Frame) -> None:
    x, y = select.columns(frame, "bias", "noise")
    most = 1.1 * max(np.nanmax(x, initial=0.0), 1.0)
    canvas.linear_axis(axis, "x")
    axis.set_xlim(-0.03 * most, most)
    canvas.factor_axis(axis, "y", 1.0, 0.5, y)
    axis.set_xlabel("bias ÷ standard deviation of one n-step estimate")
    axis.set_ylabel("standard deviation at equal rollouts")


def _draw_yardsticks(axis: Axes) -> None:
    """Where bias² + noise² is that of one n-step estimate, and of the mean of ten."""
    lowest = axis.get_ylim()[0]
    bias = np.sin(np.linspace(0.0, np.pi / 2, 200))
    height = np.maximum(np.sqrt(1.0 - bias**2), lowest)
    axis.fill_between(bias, lowest, height, color=SHADE, linewidth=0, zorder=0)
    of_ten = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 1}
    axis.plot(bias / np.sqrt(_TEN), height, **of_ten)


def _name(axis: Axes, frame: select.Frame) -> None:
    """The one that is nearest to the n-step mean."""
    others = frame[(frame["candidate"] != _REFERENCE) & frame["rmse"].notna()]
    if not len(others):
        return
    nearest = others.loc[others["rmse_high"].fillna(others["rmse"]).idxmin()]
    place = (nearest["bias"], nearest["noise"])
    text = {"textcoords": "offset points", "xytext": (9, 4), "color": INK}
    axis.annotate(names.candidate(nearest["candidate"]), place, **text)


def _tell_far(axis: Axes, frame: select.Frame) -> None:
    """In the legend: families of which some are beyond the axes."""
    for family, part in _families(frame):
        least = factor(part["noise"].min())
        axis.plot([], [], " ", label=f"{_FAMILIES[family][0]}: from {least}")
