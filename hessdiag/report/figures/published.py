"""Ours beside the paper's table 1: returns at the end, and the growth of the noise."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.figures.canvas import (
    dots_with_bars,
    factor_axis,
    legend,
    log_axis,
    named_rows,
    panels,
)
from hessdiag.report.figures.palette import CATEGORIES, INK, PAPER
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.select import Frame, column, measured, rows


def published(findings: Findings) -> FigureSpec | None:
    """Every published number with ours, where more than a few are known."""
    returns, noise = (rows(findings, "published", quantity=name) for name in ("final", "growth"))
    if len(returns) < 2:
        return None
    if len(noise):
        own = noise["configuration"] == next(iter(measured(findings)), "")
        noise = noise[own & (noise["horizon"] > 1)]
    return FigureSpec(
        slug="published",
        title="Published results beside ours",
        caption=(
            "Circles: ours, with intervals over seeds. Diamonds: Bonnet et al. 2021, table 1, ±1 "
            "s.d. over seeds, of whole trainings."
        ),
        rows=[row for found in (returns, noise) for row in found.to_dict("records")],
        draw=lambda: _draw(findings, returns, noise),
    )


def _draw(findings: Findings, returns: Frame, noise: Frame) -> Figure:
    figure, axes = panels(1 + bool(len(noise)), height=3.4)
    _pairs(axes[0], returns, [names.configuration(c) for c in returns["configuration"]])
    log_axis(axes[0], "x")
    axes[0].set_title(f"{names.title(names.parameter(str(findings.about['headline'])))} at the end")
    if len(noise):
        labels = [
            f"{e}, n = {n}" for e, n in zip(noise["estimator"], noise["horizon"], strict=True)
        ]
        values = _pairs(axes[1], noise, labels)
        factor_axis(axes[1], "x", values)
        axes[1].set_title("Noise relative to one step")
    legend(axes[0])
    return figure


def _pairs(axis: Axes, found: Frame, labels: list[str]) -> np.ndarray:
    y = np.arange(len(found), dtype=float)
    ours, low, high = (column(found, end) for end in ("value", "low", "high"))
    low = np.where(low > 0, low, ours / 2)
    dots_with_bars(axis, ours, y - 0.13, low, high, colour=INK, marker="o", label="ours")
    paper, deviation = column(found, "published"), column(found, "published_deviation")
    ends = np.maximum(paper - deviation, paper / 2), paper + deviation
    look = {"marker": "D", "markerfacecolor": PAPER, "label": "Bonnet et al. 2021"}
    dots_with_bars(axis, paper, y + 0.13, *ends, colour=CATEGORIES[5], **look)
    named_rows(axis, labels)
    return np.concatenate([ours, low, high, *ends])
