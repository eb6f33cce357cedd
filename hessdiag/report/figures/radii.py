"""Spectral radii by operator: of the paper's I + H, and of what the optimiser applies."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import legend, log_axis, named_rows, panels, signed_axis
from hessdiag.report.figures.looks import operator_colour, operator_marker
from hessdiag.report.figures.palette import MUTED, PAPER
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import column, rows

_QUANTITIES = {
    "spectral radius": "Spectral radius of an inner step, minus 1",
    "norm of the longest product": "Norm of the product of all steps, minus 1",
}
_APART = 0.17


def radii(findings: Findings) -> FigureSpec | None:
    """Median and largest by configuration and operator, for the steps and for their product."""
    found = rows(findings, "curvature", when="all")
    if findings.kind == "run" or not len(found) or found["operator"].nunique() < 2:
        return None
    return FigureSpec(
        slug="radii",
        title="Spectral radii of inner steps and norms of their products",
        caption=(
            "Hollow: median over inner steps, probes and seeds; full: the largest, with its "
            "numerical error. Only values above zero can make noise grow."
        ),
        rows=found.to_dict("records"),
        draw=lambda: _draw(found),
    )


def _draw(found) -> Figure:
    shown = [name for name in _QUANTITIES if (found["quantity"] == name).any()]
    configurations = list(dict.fromkeys(found["configuration"]))
    figure, axes = panels(len(shown), height=0.9 + 0.6 * len(configurations))
    if len(shown) == 1:
        figure.set_size_inches(5.4, figure.get_figheight())
    for axis, quantity in zip(axes, shown, strict=True):
        _draw_quantity(axis, found[found["quantity"] == quantity], configurations)
        axis.set_title(_QUANTITIES[quantity])
    legend(axes[0], below=2)
    return figure


def _draw_quantity(axis: Axes, found, configurations: list[str]) -> None:
    operators = list(dict.fromkeys(found["operator"]))
    for place, operator in enumerate(operators):
        held = found[found["operator"] == operator]
        shift = _APART * (place - (len(operators) - 1) / 2)
        y = np.array([configurations.index(name) for name in held["configuration"]]) + shift
        median, largest, error = (
            column(held, key) for key in ("median", "largest", "largest_error")
        )
        colour, marker = operator_colour(operator), operator_marker(operator)
        axis.hlines(y, median, largest, colors=colour, linewidth=0.9, alpha=0.6)
        axis.hlines(y, largest - error, largest + error, colors=colour, linewidth=2.6)
        look: dict[str, Any] = {"color": colour, "linestyle": "", "marker": marker}
        axis.plot(median, y, markerfacecolor=PAPER, **look)
        axis.plot(largest, y, label=names.operator(operator), **look)
    values = np.concatenate([column(found, "median"), column(found, "largest")])
    if (values[np.isfinite(values)] > 0).all():
        log_axis(axis, "x")
    else:
        signed_axis(axis, "x", values, width=np.abs(values[values != 0]).min(initial=1.0))
        axis.axvline(0.0, color=MUTED, linewidth=0.9)
    named_rows(axis, [names.configuration(code) for code in configurations])
