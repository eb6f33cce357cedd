"""How far spectral radii, and norms of the longest products, are from one."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessdiag.report.figures.canvas import Layout, legend_below, log_axis, panels, signed_axis
from hessdiag.report.figures.operator_marks import operator_label
from hessdiag.report.figures.palette import PAPER
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.data import Row, StudyData, distinct, values
from hessdiag.report.studies.figures.looks import PHASES, dodged, panel_title, phase_colours

_LABELS = {"spectral radius": "ρ − 1", "norm of the longest product": "‖P‖ − 1"}
_MEANINGS = {
    "preconditioned": "has the optimiser’s response to the gradient in the place of −α",
    "update": "is the exact derivative of the new θ in the old one",
    "augmented": "is that of θ and the optimiser’s memory together",
}


def _rows(data: StudyData) -> list[Row]:
    return [row for row in data.rows("curvature") if row["when"] in PHASES]


def _caption(data: StudyData) -> str:
    operators = distinct(data.rows("curvature"), "operator")
    meanings = [f"{name} {text}" for name, text in _MEANINGS.items() if name in operators]
    optimisers = f" Of the others, {'; '.join(meanings)}." if meanings else ""
    return (
        "Distance from one of the spectral radius ρ, over all inner steps, probes and seeds, and "
        "of the norm of the product P over all inner steps but the first, over probes and seeds. "
        "Hollow: the median; full: the largest, with a thick bar for its error, often smaller than "
        "the marker: a bound for I + H and for norms, of first order for the other radii. ρ alone "
        f"bounds the growth of symmetric matrices only, such as the paper’s I + H.{optimisers}"
    )


def _draw(data: StudyData, layout: Layout) -> Figure:
    rows = _rows(data)
    names = list(dict.fromkeys(operator_label(row["operator"]) for row in rows))
    places = [
        (configuration, quantity)
        for configuration in distinct(rows, "configuration")
        for quantity in distinct(rows, "quantity")
    ]
    across = len(distinct(rows, "quantity"))
    figure, axes = panels(layout, len(places), columns=across, height=2.7, sharey=True)
    for axis, (configuration, quantity) in zip(axes, places, strict=True):
        at = [r for r in rows if (r["configuration"], r["quantity"]) == (configuration, quantity)]
        _draw_panel(axis, at, names)
        axis.set_ylabel(_LABELS[quantity])
        axis.set_title(panel_title(configuration))
    shown = np.concatenate([values(rows, "median"), values(rows, "largest")])
    shown = shown[np.isfinite(shown)]
    if (shown > 0).all():
        log_axis(axes[0], "y")
    else:
        signed_axis(axes[0], "y", shown, width=np.abs(shown[shown != 0]).min(initial=1.0))
    legend_below(figure, axes[0], layout=layout, columns=3)
    return figure


def _draw_panel(axis: Axes, rows: list[Row], names: list[str]) -> None:
    """From the median to the largest, with the error of the largest; a colour per phase."""
    phases = distinct(rows, "when")
    for k, (phase, colour) in enumerate(phase_colours(phases).items()):
        at = [row for row in rows if row["when"] == phase]
        x = dodged([names.index(operator_label(row["operator"])) for row in at], k, len(phases))
        median, largest, error = (
            values(at, name) for name in ("median", "largest", "largest_error")
        )
        axis.vlines(x, median, largest, colors=colour, linewidth=0.8, alpha=0.6)
        axis.vlines(x, largest - error, largest + error, colors=colour, linewidth=2.6)
        axis.plot(x, median, "o", color=colour, markerfacecolor=PAPER)
        axis.plot(x, largest, "o", color=colour, label=phase)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")


CURVATURE = FigureSpec(
    slug="curvature",
    title="Spectral radii of the operators of inner steps, and norms of their products",
    caption=_caption,
    available=lambda data: bool(_rows(data)),
    rows=lambda data: data.rows("curvature"),
    draw=_draw,
)
