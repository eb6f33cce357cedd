"""What changes with n besides the noise: signal to noise, and bias against deviation."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures import canvas
from hessdiag.report.figures.palette import CATEGORIES, INK
from hessdiag.report.figures.spec import FigureSpec, figure_spec
from hessdiag.report.select import Frame, bounds, column, longest, measured, rows

_COLOURS = {"n-step": INK, "mix": CATEGORIES[0]}
_LONG = 6  # horizons from which the trade-off is worth a figure
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))


def signal(findings: Findings) -> FigureSpec | None:
    """Signal to noise of n-step and mix, for the configuration measured furthest."""
    name = next(iter(measured(findings)), None)
    known = ((a.question, a.status, a.configuration) for a in findings.verdict)
    if name is None or ("signal-to-noise", "holds", name) not in known:
        return None
    found = rows(findings, "spread", configuration=name, when="all", group="all")
    over = found.iloc[-1]["over"]
    return figure_spec("signal", found, lambda: _draw_signal(found, name), over=over)


def _draw_signal(found: Frame, name: str) -> Figure:
    figure, (axis,) = canvas.panels(1, columns=1, height=3.4, width=5.2)
    _lines(axis, found, "signal", "-")
    axis.set_title(f"Signal to noise, {names.configuration(name)}")
    canvas.legend(axis)
    return figure


def tradeoff(findings: Findings) -> FigureSpec | None:
    """Bias and standard deviation by horizon, the paper's figure 5."""
    name = next(iter(measured(findings)), "")
    found = rows(findings, "spread", configuration=name, when="all")
    found = found[found["bias"].notna()] if "bias" in found else found.head(0)
    if not len(found) or longest(findings, name) < _LONG or not _falls(found):
        return None
    return figure_spec("bias-and-deviation", found, lambda: _draw_tradeoff(found))


def _falls(found: Frame) -> bool:
    """Whether the bias of some group surely falls with n."""
    own = found[found["estimator"] == "n-step"].set_index(["horizon", "group"])
    first, last = (own.loc[end(found["horizon"])] for end in (min, max))
    return bool((first["bias_low"] > last["bias_high"]).any())


def _draw_tradeoff(found: Frame) -> Figure:
    figure, axes = canvas.panels(2, height=3.2)
    shown = {"bias": "Bias", "std": "Standard deviation"}
    groups = found.groupby("group", sort=False)
    for axis, (value, title) in zip(axes, shown.items(), strict=True):
        for (group, own), dash in zip(groups, _DASHES, strict=False):
            _lines(axis, own, value, dash, names.parameter(group))
        axis.set_title(title)
    canvas.legend(axes[0])
    return figure


def _lines(axis: Axes, found: Frame, value: str, dash: Any, *label: str) -> None:
    for estimator, colour in _COLOURS.items():
        own = found[found["estimator"] == estimator].sort_values("horizon")
        if len(own):
            look = {"label": ", ".join((estimator, *label)), "linestyle": dash, "color": colour}
            canvas.line_with_band(axis, column(own, "horizon"), bounds(own, value), **look)
    canvas.linear_axis(axis, "y")
    axis.set_ylim(bottom=0)
    canvas.horizon_axis(axis, int(found["horizon"].max()))
