"""Which path carries the growth: what is left without memory, and without curvature."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import factor_axis, legend, panels
from hessdiag.report.figures.looks import MARKERS, colours
from hessdiag.report.figures.palette import MUTED
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import PHASES, Frame, column, rows


def phase(findings: Findings) -> FigureSpec | None:
    """A dot for each configuration early, in the middle and late in training."""
    found = _points(findings)
    if len(found) < 3:
        return None
    return FigureSpec(
        slug="phase",
        title="Which path carries the noise",
        caption=(
            "Growth that is left when a path is cut, over the whole growth; a dot early, in the "
            "middle and late in training. Left: memory carries noise; below: curvature does; at "
            "the cross neither does."
        ),
        rows=found.to_dict("records"),
        draw=lambda: _draw(findings, found),
    )


def _points(findings: Findings) -> Frame:
    found = rows(findings, "cuts")
    if not len(found):
        return found
    found = found[found["when"].isin(PHASES) & (found["horizon"] == found["horizon"].max())]
    table = found.pivot_table("growth", ["configuration", "when"], "cut", sort=False)
    if not {"full", "no-hessian", "no-memory"} <= set(table.columns):
        return pd.DataFrame()
    left = table[["no-hessian", "no-memory"]].div(table["full"], axis=0)
    return left.dropna().reset_index()


def _draw(findings: Findings, found: Frame) -> Figure:
    figure, (axis,) = panels(1, columns=1, height=3.6, width=4.8)
    looks = colours(findings.configurations)
    for place, code in enumerate(dict.fromkeys(found["configuration"])):
        own = found[found["configuration"] == code]
        label, marker = names.configuration(code), MARKERS[place % len(MARKERS)]
        x, y = column(own, "no-memory"), column(own, "no-hessian")
        axis.plot(x, y, color=looks[code], marker=marker, linewidth=0.8, label=label, alpha=0.9)
    both = np.concatenate([column(found, "no-memory"), column(found, "no-hessian"), np.ones(1)])
    for which in "xy":
        factor_axis(axis, which, both)
    axis.axhline(1.0, color=MUTED, linewidth=0.9, zorder=1)
    axis.axvline(1.0, color=MUTED, linewidth=0.9, zorder=1)
    axis.set(xlabel="left without the optimiser's memory", ylabel="left without the Hessian path")
    legend(axis)
    return figure
