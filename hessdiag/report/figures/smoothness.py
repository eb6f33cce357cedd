"""Whether the meta-gradient predicts what moving η does: how many signs agree."""

from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.numbers import percent
from hessdiag.report.select import Frame, bounds, column, rows

_SIGNS = {
    "agree": ("signs agree", CATEGORIES[0], "o"),
    "disagree": ("signs disagree", CATEGORIES[1], "s"),
}


def agreement(findings: Findings) -> FigureSpec | None:
    """Shares of entries where slope and meta-gradient surely agree, and surely do not.

    By horizon, a panel per response; of several configurations at their longest horizon.
    """
    frame = rows(findings, "smoothness", when="all", group="all")
    if not len(frame):
        return None
    codes = [code for code in findings.configurations if (frame["configuration"] == code).any()]
    draw = partial(_draw_side_by_side, frame, codes) if len(codes) > 1 else partial(_draw, frame)
    last = frame.iloc[-1]
    return figure_spec("smoothness", frame, draw, over=f"{last['count']} {last['over']}")


def _draw(frame: Frame) -> Figure:
    responses = list(dict.fromkeys(frame["response"]))
    count, last = len(responses), int(frame["horizon"].max())
    figure, axes = canvas.panels(count, columns=count, height=3.2, width=3.6 * count)
    for axis, response in zip(axes, responses, strict=True):
        part = frame[frame["response"] == response].sort_values("horizon")
        for name, (word, colour, marker) in _SIGNS.items():
            look = {"color": colour, "marker": marker, "markersize": 4, "label": word}
            canvas.line_with_band(axis, column(part, "horizon"), bounds(part, name), **look)
        canvas.horizon_axis(axis, last)
        _share_axis(axis, "y")
        axis.set_title(names.title(response))
    canvas.legend(axes[0])
    return figure


def _draw_side_by_side(frame: Frame, codes: list[str]) -> Figure:
    responses = list(dict.fromkeys(frame["response"]))
    count, shown = len(responses), {code: names.configuration(code) for code in codes}
    sizes = {"height": 1.3 + 0.4 * len(codes), "width": 3.9 * count}
    figure, axes = canvas.panels(count, columns=count, **sizes)
    longest = frame.groupby("configuration")["horizon"].transform("max")
    frame = frame[frame["horizon"] == longest]
    for axis, response in zip(axes, responses, strict=True):
        part = frame[frame["response"] == response]
        groups = []
        for name, (word, colour, marker) in _SIGNS.items():
            look = {"color": colour, "marker": marker, "label": word}
            groups.append((look, part["configuration"], bounds(part, name)))
        canvas.dots_in_rows(axis, shown, groups, width=0.4)
        _share_axis(axis, "x")
        axis.set_title(names.title(response))
    canvas.legend(axes[0])
    return figure


def _share_axis(axis: Axes, which: str) -> None:
    """From none to all of the entries, in percent."""
    getattr(axis, f"set_{which}lim")(-0.04, 1.04)
    quarters = FixedLocator([0.0, 0.25, 0.5, 0.75, 1.0])
    canvas.set_ticks(axis, which, quarters, lambda value, _: percent(value))
    getattr(axis, f"set_{which}label")("share of entries")
