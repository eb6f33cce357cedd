"""The picture that answers first: how noise grows with the number of inner steps, and without what.

Left: the configuration measured furthest; right: all of them at their longest horizon.
"""

from collections.abc import Iterator

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

Label = tuple[float, str, str]  # height, text and colour
Layer = tuple[Label | None, np.ndarray]  # what names it, and the heights that the axis must hold


def growth(findings: Findings) -> FigureSpec | None:
    """Noise against n with its band, cuts, the paper's formula and what is published."""
    furthest = select.measured(findings)
    if not furthest:
        return None
    name, found = furthest[0], select.spread(findings, furthest[0])
    beside = [
        code for code in furthest if len(select.cuts(findings, code)) > 1 and len(furthest) > 1
    ]
    last = found.iloc[-1]
    return figure_spec(
        "growth",
        found,
        lambda: _draw(findings, name, beside),
        over=f"{100 * findings.confidence:g} % over {last['count']} {last['over']}",
        cut=" Cut: that path of the derivative is removed, the training is not." if beside else "",
    )


def _draw(findings: Findings, name: str, beside: list[str]) -> Figure:
    if beside:
        figure, axes = canvas.panels(2, height=3.6)
        _compare(axes[1], findings, beside)
    else:
        figure, axes = canvas.panels(1, columns=1, height=3.4, width=5.4)
    axis, last = axes[0], select.longest(findings, name)
    layers = [
        *_measured(axis, findings, name),
        *_formula(axis, findings, name),
        *_cut(axis, findings, name),
    ]
    canvas.factor_axis(axis, "y", 1.0, *(heights for _, heights in layers))
    axis.set_xlim(1 - 0.03 * last, last + 0.75 * (last - 1))
    canvas.horizon_axis(axis, last)
    axis.set_title(names.configuration(name) if name else "")
    canvas.direct_labels(axis, last + 0.08 * (last - 1), [label for label, _ in layers if label])
    return figure


def _measured(axis: Axes, findings: Findings, name: str) -> Iterator[Layer]:
    """Lines with their bands, and the paper's numbers."""
    for estimator, (word, colour, width) in _MEASURED.items():
        found = select.spread(findings, name, estimator)
        if not len(found):
            continue
        ends = select.bounds(found, "growth")
        look = {"color": colour, "linewidth": width, "marker": "o", "markersize": 3.5}
        canvas.line_with_band(axis, select.column(found, "horizon"), ends, **look)
        yield (ends[0][-1], f"{word} {factor(ends[0][-1])}", colour), np.concatenate(ends)
        published = _published(axis, found)
        is_named = estimator == "n-step" and published.size
        label = (published.max(), "◇ Bonnet et al. 2021", PUBLISHED) if is_named else None
        yield label, published


def _published(axis: Axes, found: select.Frame) -> np.ndarray:
    """Diamonds where the paper has numbers; the ends of their bars."""
    found = found[
        np.isfinite(select.column(found, "published")) & (select.column(found, "horizon") > 1)
    ]
    x, value, deviation = (
        select.column(found, name) for name in ("horizon", "published", "published_deviation")
    )
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
        found = select.rows(findings, "cuts", configuration=name, when="all", cut=code)
        if not len(found):
            continue
        found = found.sort_values("horizon")
        x, (value, low, high) = select.column(found, "horizon"), select.bounds(found, "growth")
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
    found, groups = pd.concat([select.cuts(findings, name) for name in beside]), []
    for code, (word, colour, marker, size) in marks.items():
        own = found[found["cut"] == code]
        look = {"color": colour, "marker": marker, "markersize": size, "label": word}
        groups.append((look, own["configuration"], select.bounds(own, "growth")))
    canvas.dots_in_rows(axis, {name: names.configuration(name) for name in beside}, groups)
    canvas.factor_axis(axis, "x", 1.0, *(part for _, _, ends in groups for part in ends))
    axis.set_title(f"n = {select.longest(findings, beside[0])}, side by side")
    canvas.legend(axis, below=3)
