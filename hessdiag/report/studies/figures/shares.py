"""Shares with their intervals, early, in the middle and late in training."""

from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, legend_below, linear_axis, panels
from hessdiag.report.figures.palette import INK
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.numbers import plain
from hessdiag.report.studies.data import Row, StudyData, distinct, intervals, values
from hessdiag.report.studies.figures.looks import (
    PHASES,
    dodged,
    panel_title,
    phase_colours,
)


def _cuts(data: StudyData) -> list[Row]:
    return [r for r in data.rows("cuts") if r["cut"] != "full" and r["when"] in PHASES]


def _sources(data: StudyData) -> list[Row]:
    return [r for r in data.rows("sources") if r["when"] in PHASES]


def _left_out(data: StudyData) -> str:
    """How many eigenpairs the cut that bounds the Hessian leaves out, if it was measured."""
    rows = [row for row in data.rows("cuts", when="all") if row.get("left_out") is not None]
    if not rows:
        return ""
    numbers = ", ".join(
        plain(row["left_out"], digits=2) + (f" ({row['configuration']})" if len(rows) > 1 else "")
        for row in rows
    )
    return f"{rows[0]['cut']} leaves out {numbers} eigenpairs of each Hessian on average. "


def _draw(rows: list[Row], layout: Layout, *, what: str, share: str, label: str) -> Figure:
    configurations = distinct(rows, "configuration")
    names, phases = distinct(rows, what), distinct(rows, "when")
    look = phase_colours(phases)
    figure, axes = panels(layout, len(configurations), columns=2, height=3.0, sharey=True)
    for axis, configuration in zip(axes, configurations, strict=True):
        for k, phase in enumerate(phases):
            at = [r for r in rows if (r["configuration"], r["when"]) == (configuration, phase)]
            x = dodged([names.index(row[what]) for row in at], k, len(phases))
            low, high = (values(at, f"{share}_{end}") for end in ("low", "high"))
            axis.vlines(x, low, high, colors=look[phase], linewidth=1.3)
            axis.plot(x, values(at, share), "o", color=look[phase], label=phase)
        axis.axhline(0.0, color=INK, linewidth=0.7)
        linear_axis(axis, "y")
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axis.set_title(panel_title(configuration))
    axes[0].set_ylabel(label)
    legend_below(figure, axes[0], layout=layout, columns=3)
    return figure


CUTS = FigureSpec(
    slug="cuts",
    title="What each cut removes of the growth",
    caption=lambda data: (
        "Share of the logarithm of the growth at the longest horizon that disappears when a path "
        "of the derivative is cut: 1 if nothing grows any more, 0 if the cut changes nothing, "
        "below 0 if the growth is larger without the path. "
        + _left_out(data)
        + f"Bars: {intervals(_cuts(data), data.confidence)}."
    ),
    available=lambda data: bool(_cuts(data)),
    rows=lambda data: data.rows("cuts"),
    draw=lambda data, layout: _draw(
        _cuts(data), layout, what="cut", share="removed", label="share of log-growth removed"
    ),
)

SOURCES = FigureSpec(
    slug="sources",
    title="Where the variance comes from",
    caption=lambda data: (
        "Shares of the variance at the longest horizon: validation trajectories given the inner "
        "ones, all inner trajectories (the two sum to one), the sum of what each inner step's "
        "trajectories do alone; and the coherence of the terms of eq. 11, 0 if they vary "
        "independently and 1 if as one. " + f"Bars: {intervals(_sources(data), data.confidence)}."
    ),
    available=lambda data: bool(_sources(data)),
    rows=lambda data: data.rows("sources"),
    draw=lambda data, layout: _draw(
        _sources(data), layout, what="source", share="share", label="share"
    ),
)
