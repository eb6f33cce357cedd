"""Where in training the noise grows, with the returns on the same axis."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import factor_axis, iteration_axis, legend, panels
from hessdiag.report.figures.curves import draw_curves
from hessdiag.report.figures.looks import MARKERS, colours
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import Frame, column, rows


def along(findings: Findings) -> FigureSpec | None:
    """Growth at the longest horizon over training, above the learning curve."""
    found = _points(findings)
    if findings.kind == "run" or not len(found) or found["iteration"].nunique() < 3:
        return None
    headline = str(findings.about["headline"])
    return FigureSpec(
        slug="along",
        title="Where in training the noise grows",
        caption=(
            f"Growth at the longest horizon, and {names.parameter(headline)}, over training. "
            "Bars and bands: intervals over seeds."
        ),
        rows=found.to_dict("records"),
        draw=lambda: _draw(findings, found),
    )


def _points(findings: Findings) -> Frame:
    found = rows(findings, "spread", estimator="n-step", group="all")
    if not len(found) or "iteration" not in found:
        return pd.DataFrame()
    found = found[found["iteration"].notna() & (found["horizon"] > 1)]
    return found[found["horizon"] == found.groupby("configuration")["horizon"].transform("max")]


def _draw(findings: Findings, found: Frame) -> Figure:
    figure, (upper, lower) = panels(2, height=3.0)
    looks = colours(findings.configurations)
    shown = list(dict.fromkeys(found["configuration"]))
    for place, code in enumerate(shown):
        own = found[found["configuration"] == code].sort_values("iteration")
        x, value, low, high = (
            column(own, key) for key in ("iteration", "growth", "growth_low", "growth_high")
        )
        marker, few = MARKERS[place % len(MARKERS)], len(shown) <= 4
        upper.plot(x, value, color=looks[code], marker=marker, label=names.configuration(code))
        if few:
            upper.vlines(x, low, high, colors=looks[code], linewidth=1.0, alpha=0.5)
    factor_axis(upper, "y", np.append(column(found, "growth"), 1.0))
    upper.set_title("Noise relative to one step")
    iteration_axis(upper)
    draw_curves(lower, findings, str(findings.about["headline"]), shown)
    if len(shown) > 1:
        legend(upper, below=3)
    return figure
