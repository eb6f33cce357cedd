"""The picture that answers first: how noise grows with the number of inner steps, and without what.

Left: the configuration measured furthest; right: all of them at their longest horizon.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import (
    direct_labels,
    dots_with_bars,
    factor_axis,
    horizon_axis,
    legend,
    line_with_band,
    named_rows,
    panels,
)
from hessdiag.report.figures.palette import CATEGORIES, INK, MUTED, PAPER
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.numbers import factor
from hessdiag.report.select import column, cuts, longest, measured, paper_formula, rows, spread

BLUE, ORANGE, GREEN = CATEGORIES[:3]
PUBLISHED = CATEGORIES[5]
_CUTS = {"no-hessian": ("Hessian path cut", ORANGE), "no-memory": ("memory cut", GREEN)}
_ALIKE = 0.02  # a prediction within this of the number of steps is that number

Label = tuple[float, str, str]


def growth(findings: Findings) -> FigureSpec | None:
    """Noise against n with its band, cuts, the paper's formula and what is published."""
    there = measured(findings)
    if not there:
        return None
    beside = [name for name in there if len(cuts(findings, name)) > 1] if len(there) > 1 else []
    return FigureSpec(
        slug="growth",
        title="Noise of the meta-gradient, relative to one step",
        caption=_caption(findings, there[0], beside=bool(beside)),
        rows=spread(findings, there[0]).to_dict("records"),
        draw=lambda: _draw(findings, there[0], beside),
    )


def _caption(findings: Findings, name: str, *, beside: bool) -> str:
    over = spread(findings, name).iloc[-1]
    held = f"{100 * findings.confidence:g} % over {over['count']} {over['over']}"
    cut = " Cut: that path of the derivative is removed, the training is not." if beside else ""
    return f"Standard deviation over that at one step; bands and bars: {held}.{cut}"


def _draw(findings: Findings, name: str, beside: list[str]) -> Figure:
    figure, axes = panels(2 if beside else 1, height=3.6, width=9.6)
    if not beside:
        figure.set_size_inches(5.4, 3.4)
    labels, values = _lines(axes[0], findings, name)
    factor_axis(axes[0], "y", values)
    last = longest(findings, name)
    axes[0].set_xlim(1 - 0.03 * last, last + 0.75 * (last - 1))
    horizon_axis(axes[0], last)
    axes[0].set_title(names.configuration(name) if name else "")
    direct_labels(axes[0], last + 0.08 * (last - 1), labels)
    if beside:
        _compare(axes[1], findings, beside)
    return figure


def _lines(axis: Axes, findings: Findings, name: str) -> tuple[list[Label], np.ndarray]:
    """Everything of one configuration; what names it, and the heights that the axis must hold."""
    labels, heights = [], [np.ones(1)]
    for estimator, colour, width in (("mix", MUTED, 1.4), ("n-step", INK, 2.2)):
        found = spread(findings, name, estimator)
        if len(found):
            value, low, high = (column(found, f"growth{end}") for end in ("", "_low", "_high"))
            look = {"colour": colour, "linewidth": width, "marker": "o", "markersize": 3.5}
            line_with_band(axis, column(found, "horizon"), value, low, high, **look)
            word = "measured" if estimator == "n-step" else estimator
            labels.append((value[-1], f"{word} {factor(value[-1])}", colour))
            heights += [value, low, high, _published(axis, found)]
            if estimator == "n-step" and heights[-1].size:
                labels.append((heights[-1].max(), "◇ Bonnet et al. 2021", PUBLISHED))
    paper, label = _formula(axis, findings, name)
    cut_labels, cut_heights = _cut_points(axis, findings, name)
    return [*labels, *label, *cut_labels], np.concatenate([*heights, paper, cut_heights])


def _formula(axis: Axes, findings: Findings, name: str) -> tuple[np.ndarray, list[Label]]:
    horizons, paper = paper_formula(findings, name)
    if not horizons.size:
        return paper, []
    axis.plot([1, *horizons], [1, *paper], color=BLUE, linestyle="--", linewidth=1.8)
    steps = "(= n)" if abs(paper[-1] / horizons[-1] - 1) < _ALIKE else ""
    return paper, [(paper[-1], f"paper's formula {factor(paper[-1])} {steps}".strip(), BLUE)]


def _cut_points(axis: Axes, findings: Findings, name: str) -> tuple[list[Label], np.ndarray]:
    """The cuts' lines where every horizon is known, else their points at the longest."""
    labels, heights = [], []
    for place, (code, (word, colour)) in enumerate(_CUTS.items(), start=1):
        found = rows(findings, "cuts", configuration=name, when="all", cut=code)
        if not len(found):
            continue
        found = found.sort_values("horizon")
        x, value, low, high = (
            column(found, key) for key in ("horizon", "growth", "growth_low", "growth_high")
        )
        shift = 0.02 * place * x[-1] * np.ones(1)
        axis.plot(x[:-1], value[:-1], color=colour, linewidth=1.4)
        axis.plot(x[-2:], value[-2:], color=colour, linewidth=1.4)
        axis.vlines(x[-1:] + shift, low[-1:], high[-1:], colors=colour, linewidth=1.4)
        axis.plot(x[-1:] + shift, value[-1:], "s", color=colour, markersize=5)
        labels.append((value[-1], f"{word} {factor(value[-1])}", colour))
        heights.append(np.concatenate([value, low[-1:], high[-1:]]))
    return labels, np.concatenate(heights) if heights else np.empty(0)


def _published(axis: Axes, found) -> np.ndarray:
    """Diamonds where the paper has numbers; the ends of their bars."""
    value, deviation = column(found, "published"), column(found, "published_deviation")
    there = np.isfinite(value) & (column(found, "horizon") > 1)
    x = column(found, "horizon")[there]
    low = np.maximum(value - deviation, 0.5 * value)[there]
    high = (value + deviation)[there]
    axis.vlines(x, low, high, colors=PUBLISHED, linewidth=1.1, zorder=3)
    look = {"color": PUBLISHED, "markerfacecolor": PAPER, "markersize": 6, "zorder": 4}
    axis.plot(x, value[there], "D", **look)
    return np.concatenate([low, high])


def _compare(axis: Axes, findings: Findings, beside: list[str]) -> None:
    marks = {"full": ("measured", INK, "o", 6.5)}
    marks |= {code: (word, colour, "s", 5) for code, (word, colour) in _CUTS.items()}
    held = [np.ones(1)]
    for place, (code, (word, colour, marker, size)) in enumerate(marks.items()):
        y, ends = [], []
        for row, name in enumerate(beside):
            found = cuts(findings, name)
            found = found[found["cut"] == code]
            if len(found):
                y.append(row + 0.2 * (place - 1))
                keys = ("growth", "growth_low", "growth_high")
                ends.append([column(found, key)[0] for key in keys])
        if y:
            value, low, high = np.array(ends).T
            look = {"marker": marker, "markersize": size, "label": word}
            dots_with_bars(axis, value, np.array(y), low, high, colour=colour, **look)
            held += [value, low, high]
    factor_axis(axis, "x", np.concatenate(held))
    named_rows(axis, [names.configuration(name) for name in beside])
    axis.set_title(f"n = {longest(findings, beside[0])}, side by side")
    legend(axis, below=3)
