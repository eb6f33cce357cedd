"""What changes with n besides the noise: signal to noise, and bias against deviation."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Answer, Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import (
    horizon_axis,
    legend,
    line_with_band,
    linear_axis,
    panels,
)
from hessdiag.report.figures.palette import CATEGORIES, INK
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import Frame, column, longest, measured, rows

_COLOURS = {"n-step": INK, "mix": CATEGORIES[0]}
_LONG = 6  # horizons from which the trade-off is worth a figure
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))


def signal(findings: Findings) -> FigureSpec | None:
    """Signal to noise of n-step and mix, for the configuration measured furthest."""
    there = measured(findings)
    decided = [a.configuration for a in findings.verdict if _is_told(a)]
    if not there or there[0] not in decided:
        return None
    found = rows(findings, "spread", configuration=there[0], when="all", group="all")
    return FigureSpec(
        slug="signal",
        title="Is a longer meta-gradient worth its noise?",
        caption=(
            "Mean over standard deviation of a single meta-gradient, root mean square over "
            "meta-parameters and training; what sampling adds is taken off. Bands: intervals over "
            f"{found.iloc[-1]['over']}."
        ),
        rows=found.to_dict("records"),
        draw=lambda: _draw_signal(found, there[0]),
    )


def _is_told(answer: Answer) -> bool:
    return (answer.question, answer.status) == ("signal-to-noise", "holds")


def _draw_signal(found: Frame, name: str) -> Figure:
    figure, (axis,) = panels(1, columns=1, height=3.4, width=5.2)
    _lines(axis, found, "signal", "-")
    axis.set_title(f"Signal to noise, {names.configuration(name)}")
    legend(axis)
    return figure


def tradeoff(findings: Findings) -> FigureSpec | None:
    """Bias and standard deviation by horizon, the paper's figure 5."""
    name = next(iter(measured(findings)), "")
    found = rows(findings, "spread", configuration=name, when="all")
    found = found[found["bias"].notna()] if "bias" in found else found.head(0)
    if not len(found) or longest(findings, name) < _LONG or not _falls(found):
        return None
    return FigureSpec(
        slug="bias-and-deviation",
        title="Bias falls with n, noise rises",
        caption=(
            "Distance in the mean to the longest horizon's meta-gradient, without what sampling "
            "adds, and standard deviation; per unit of η, averaged over training. Bands: intervals "
            "over seeds. Compare with the paper's figure 5."
        ),
        rows=found.to_dict("records"),
        draw=lambda: _draw_tradeoff(found),
    )


def _falls(found: Frame) -> bool:
    """Whether the bias of some group surely falls with n."""
    own = found[found["estimator"] == "n-step"].set_index(["horizon", "group"])
    first, last = (own.loc[end(found["horizon"])] for end in (min, max))
    return bool((first["bias_low"] > last["bias_high"]).any())


def _draw_tradeoff(found: Frame) -> Figure:
    figure, axes = panels(2, height=3.2)
    parts = list(dict.fromkeys(found["group"]))[: len(_DASHES)]
    shown = {"bias": "Bias", "std": "Standard deviation"}
    for axis, (value, title) in zip(axes, shown.items(), strict=True):
        for group, dash in zip(parts, _DASHES, strict=False):
            _lines(axis, found[found["group"] == group], value, dash, group=group)
        axis.set_title(title)
    legend(axes[0])
    return figure


def _lines(axis: Axes, found: Frame, value: str, dash, *, group: str = "") -> None:
    for estimator, colour in _COLOURS.items():
        own = found[found["estimator"] == estimator].sort_values("horizon")
        if not len(own):
            continue
        ends = (column(own, f"{value}{end}") for end in ("", "_low", "_high"))
        label = ", ".join(filter(None, (estimator, names.parameter(group))))
        look = {"label": label, "linestyle": dash}
        line_with_band(axis, column(own, "horizon"), *ends, colour=colour, **look)
    linear_axis(axis, "y")
    axis.set_ylim(bottom=0)
    horizon_axis(axis, int(np.max(found["horizon"])))
