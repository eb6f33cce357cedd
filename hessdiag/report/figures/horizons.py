"""What changes with the number of inner steps: noise, with and without paths; signal and bias."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names, select
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES, INK, MUTED, PAPER, PUBLISHED
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.numbers import factor

BLUE, ORANGE, GREEN = CATEGORIES[:3]
_MEASURED = {"mix": ("mix", MUTED, 1.4), "n-step": ("measured", INK, 2.2)}
_CUTS = {"no-hessian": ("Hessian path cut", ORANGE), "no-memory": ("memory cut", GREEN)}
_ALIKE = 0.02  # a prediction within this of the number of steps is that number

_COLOURS = {"n-step": INK, "mix": BLUE}
_LONG = 6  # horizons from which the trade-off is worth a figure
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))

Label = tuple[float, str, str]  # height, text and colour
Layer = tuple[Label | None, np.ndarray]  # what names it, and the heights that the axis must hold


def growth(findings: Findings) -> FigureSpec | None:
    """The picture that answers first: noise with its band, cuts, formula and published numbers.

    Left: the configuration measured furthest; right: all of them at their longest horizon.
    """
    furthest = select.measured(findings)
    if not furthest:
        return None
    name, frame = furthest[0], select.spread(findings, furthest[0])
    beside = [code for code in furthest if len(select.cuts(findings, code)) > 1]
    beside, last = beside if len(furthest) > 1 else [], frame.iloc[-1]
    over = f"{100 * findings.confidence:g} % over {last['count']} {last['over']}"
    cut = " Cut: that path of the derivative is removed, the training is not." if beside else ""
    draw = partial(_draw, findings, name, beside)
    return figure_spec("growth", frame, draw, over=over, cut=cut)


def _draw(findings: Findings, name: str, beside: list[str]) -> Figure:
    if beside:
        figure, axes = canvas.panels(2, height=3.6)
        _compare(axes[1], findings, beside)
    else:
        figure, axes = canvas.panels(1, columns=1, height=3.4, width=5.4)
    draw_growth(axes[0], findings, name)
    return figure


def draw_growth(axis: Axes, findings: Findings, name: str) -> None:
    """The growth of one configuration into given axes."""
    last = select.longest(findings, name)
    layers = [layer for part in (_measured, _formula, _cut) for layer in part(axis, findings, name)]
    canvas.factor_axis(axis, "y", 1.0, *(heights for _, heights in layers))
    axis.set_xlim(1 - 0.03 * last, last + 0.75 * (last - 1))
    canvas.horizon_axis(axis, last)
    axis.set_title(names.configuration(name) if name else "")
    canvas.direct_labels(axis, last + 0.08 * (last - 1), [label for label, _ in layers if label])


def _measured(axis: Axes, findings: Findings, name: str) -> Iterator[Layer]:
    """Lines with their bands, and the paper's numbers."""
    for estimator, (word, colour, width) in _MEASURED.items():
        frame = select.spread(findings, name, estimator)
        if not len(frame):
            continue
        ends = select.bounds(frame, "growth")
        look = {"color": colour, "linewidth": width, "marker": "o", "markersize": 3.5}
        canvas.line_with_band(axis, select.column(frame, "horizon"), ends, **look)
        yield (ends[0][-1], f"{word} {factor(ends[0][-1])}", colour), np.concatenate(ends)
        published = _published(axis, frame)
        is_named = estimator == "n-step" and published.size
        label = (published.max(), "◇ Bonnet et al. 2021", PUBLISHED) if is_named else None
        yield label, published


def _published(axis: Axes, frame: select.Frame) -> np.ndarray:
    """Diamonds where the paper has numbers; the ends of their bars."""
    x, value, deviation = select.columns(frame, "horizon", "published", "published_deviation")
    x, value, deviation = np.stack([x, value, deviation])[:, np.isfinite(value) & (x > 1)]
    low, high = np.maximum(value - deviation, 0.5 * value), value + deviation
    axis.vlines(x, low, high, colors=PUBLISHED, linewidth=1.1, zorder=3)
    look = {"color": PUBLISHED, "markerfacecolor": PAPER, "markersize": 6, "zorder": 4}
    axis.plot(x, value, "D", **look)
    return np.concatenate([low, high])


def _formula(axis: Axes, findings: Findings, name: str) -> Iterator[Layer]:
    horizons, paper = select.paper_formula(findings, name)
    if horizons.size:
        axis.plot([1, *horizons], [1, *paper], color=BLUE, linestyle="--", linewidth=1.8)
        steps = " (= n)" if abs(paper[-1] / horizons[-1] - 1) < _ALIKE else ""
        yield (paper[-1], f"paper's formula {factor(paper[-1])}{steps}", BLUE), paper


def _cut(axis: Axes, findings: Findings, name: str) -> Iterator[Layer]:
    """The cuts' lines where every horizon is known, else their points at the longest."""
    for place, (code, (word, colour)) in enumerate(_CUTS.items(), start=1):
        frame = select.rows(findings, "cuts", configuration=name, when="all", cut=code)
        if not len(frame):
            continue
        frame = frame.sort_values("horizon")
        x, (value, low, high) = select.column(frame, "horizon"), select.bounds(frame, "growth")
        shifted = x[-1:] * (1 + 0.02 * place)
        for part in (slice(None, -1), slice(-2, None)):
            axis.plot(x[part], value[part], color=colour, linewidth=1.4)
        axis.vlines(shifted, low[-1:], high[-1:], colors=colour, linewidth=1.4)
        axis.plot(shifted, value[-1:], "s", color=colour, markersize=5)
        label = (value[-1], f"{word} {factor(value[-1])}", colour)
        yield label, np.concatenate([value, low[-1:], high[-1:]])


def _compare(axis: Axes, findings: Findings, beside: list[str]) -> None:
    """All configurations at their longest horizon, whole and with each path cut."""
    marks = {"full": ("measured", INK, "o", 6.5)}
    marks |= {code: (word, colour, "s", 5) for code, (word, colour) in _CUTS.items()}
    frame, groups = pd.concat([select.cuts(findings, name) for name in beside]), []
    for code, (word, colour, marker, size) in marks.items():
        part = frame[frame["cut"] == code]
        look = {"color": colour, "marker": marker, "markersize": size, "label": word}
        groups.append((look, part["configuration"], select.bounds(part, "growth")))
    canvas.dots_in_rows(axis, {name: names.configuration(name) for name in beside}, groups)
    canvas.factor_axis(axis, "x", 1.0, *(part for _, _, ends in groups for part in ends))
    axis.set_title(f"n = {select.longest(findings, beside[0])}, side by side")
    canvas.legend(axis, below=3)


def signal(findings: Findings) -> FigureSpec | None:
    """Signal to noise of n-step and mix, for the configuration measured furthest."""
    name = next(iter(select.measured(findings)), None)
    known = ((a.question, a.status, a.configuration) for a in findings.verdict)
    if name is None or ("signal-to-noise", "holds", name) not in known:
        return None
    frame = select.rows(findings, "spread", configuration=name, when="all", group="all")
    over = frame.iloc[-1]["over"]
    return figure_spec("signal", frame, lambda: _draw_signal(frame, name), over=over)


def _draw_signal(frame: select.Frame, name: str) -> Figure:
    figure, (axis,) = canvas.panels(1, columns=1, height=3.4, width=5.2)
    _lines(axis, frame, "signal", "-")
    axis.set_title(f"Signal to noise, {names.configuration(name)}")
    canvas.legend(axis)
    return figure


def tradeoff(findings: Findings) -> FigureSpec | None:
    """Bias and standard deviation by horizon, the paper's figure 5."""
    name = next(iter(select.measured(findings)), "")
    frame = select.rows(findings, "spread", configuration=name, when="all")
    frame = frame[frame["bias"].notna()] if "bias" in frame else frame.head(0)
    if not len(frame) or select.longest(findings, name) < _LONG:
        return None
    ends = frame[frame["estimator"] == "n-step"].set_index(["horizon", "group"])
    first, last = (ends.loc[end(frame["horizon"])] for end in (min, max))
    if not (first["bias_low"] > last["bias_high"]).any():  # it surely falls in some group
        return None
    return figure_spec("bias-and-deviation", frame, lambda: _draw_tradeoff(frame))


def _draw_tradeoff(frame: select.Frame) -> Figure:
    figure, axes = canvas.panels(2, height=3.2)
    shown = {"bias": "Bias", "std": "Standard deviation"}
    groups = frame.groupby("group", sort=False)
    for axis, (value, title) in zip(axes, shown.items(), strict=True):
        for (group, part), dash in zip(groups, _DASHES, strict=False):
            _lines(axis, part, value, dash, names.parameter(group))
        axis.set_title(title)
    canvas.legend(axes[0])
    return figure


def _lines(axis: Axes, frame: select.Frame, value: str, dash: Any, *label: str) -> None:
    for estimator, colour in _COLOURS.items():
        part = frame[frame["estimator"] == estimator].sort_values("horizon")
        if len(part):
            look = {"label": ", ".join((estimator, *label)), "linestyle": dash, "color": colour}
            x, *ends = select.columns(part, "horizon", value, f"{value}_low", f"{value}_high")
            canvas.line_with_band(axis, x, ends, **look)
    canvas.linear_axis(axis, "y")
    axis.set_ylim(bottom=0)
    canvas.horizon_axis(axis, int(frame["horizon"].max()))
