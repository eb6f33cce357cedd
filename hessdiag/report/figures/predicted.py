"""Predicted over measured growth, for the explanations that can be told from each other."""

import numpy as np
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import (
    dots_with_bars,
    factor_axis,
    legend,
    named_rows,
    panels,
)
from hessdiag.report.figures.looks import MARKERS, colours
from hessdiag.report.figures.palette import INK
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import Frame, column, rows

_SAME = 0.01  # explanations whose logarithms differ by less in all configurations are one
_KEYS = ("calibration", "calibration_low", "calibration_high")


def predicted_measured(findings: Findings) -> FigureSpec | None:
    """How far off each explanation is, a colour per configuration."""
    found = rows(findings, "standings", estimator="n-step")
    if findings.kind == "run" or not len(found):
        return None
    found = found[found["explanation"].isin(distinct(found))]
    return FigureSpec(
        slug="predicted",
        title="Which explanation predicts the growth",
        caption=(
            "Predicted over measured growth, geometric mean over probes and n, with intervals over "
            "runs: 1× is right. Explanations that predict the same numbers are shown once."
        ),
        rows=found.to_dict("records"),
        draw=lambda: _draw(findings, found),
    )


def distinct(found: Frame) -> list[str]:
    """The explanations of which none predicts what an earlier one does in every configuration."""
    table = found.pivot_table("calibration", "explanation", "configuration", sort=False)
    kept: list[str] = []
    for name, held in table.iterrows():
        gaps = [np.nanmax(np.abs(held - table.loc[other]), initial=0.0) for other in kept]
        if not name.startswith("measured") and all(gap > _SAME for gap in gaps):
            kept.append(str(name))
    return sorted(kept)


def _draw(findings: Findings, found: Frame) -> Figure:
    explanations = list(dict.fromkeys(sorted(found["explanation"])))
    looks = colours(findings.configurations)
    present = [code for code in findings.configurations if (found["configuration"] == code).any()]
    figure, (axis,) = panels(1, columns=1, height=0.7 + 0.42 * len(explanations), width=5.6)
    held = []
    for place, code in enumerate(present):
        own = found[found["configuration"] == code]
        shift = 0.6 * ((place + 0.5) / len(present) - 0.5)
        y = np.array([explanations.index(name) for name in own["explanation"]]) + shift
        value, low, high = (np.exp(np.clip(column(own, key), -7, 7)) for key in _KEYS)
        look = {"marker": MARKERS[place % len(MARKERS)], "label": names.configuration(code)}
        dots_with_bars(axis, value, y, low, high, colour=looks[code], **look)
        held.append(value)
    everything = np.concatenate([*held, np.ones(1)])
    factor_axis(axis, "x", np.concatenate([everything / 1.5, everything * 1.5]))
    axis.axvline(1.0, color=INK, linewidth=1.0, zorder=1)
    named_rows(axis, [names.explanation(code) for code in explanations])
    axis.set_xlabel("predicted ÷ measured")
    if len(present) > 1:
        legend(axis, below=2)
    return figure
