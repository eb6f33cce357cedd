"""The terms of eq. 11, one by one: their shares of the variance, and the factors of their size."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hessdiag.report.figures.canvas import Layout, legend_below, linear_axis, log_axis, panels
from hessdiag.report.figures.palette import CATEGORIES, INK
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.studies.data import Row, StudyData, distinct, intervals, values
from hessdiag.report.studies.figures.looks import line_with_band, panel_title

_PRODUCT = "eq11_product_norm_minus_one"
_SHARED = {"outer_norm", "mixed_norm"}
_ENDS = ("", "_low", "_high")
_OUTER, _CARRIED, _MOVED, _ALIGNED = CATEGORIES[2:6]
_LEGEND = {
    "the term itself": INK,
    "its covariances": CATEGORIES[0],
    "its step alone": CATEGORIES[1],
    "‖T‖": _OUTER,
    "read by T, ‖G‖ or ‖P‖": _CARRIED,
    "‖∂g/∂η‖ or ‖N‖": _MOVED,
    "|cosine| or |alignment|": _ALIGNED,
}


class _Panel(NamedTuple):
    """One quantity's panel: its axis, what the caption says of it, a colour per column of rows."""

    label: str
    logarithmic: bool
    words: str
    columns: Mapping[str, str]


_PANELS = (
    _Panel(
        "share of the variance",
        False,
        "Shares of the variance: of the term itself; of its covariances with the others, which "
        "with the former sum to one over all terms; and of the trajectories of its inner step "
        "alone, an unbiased estimate that noise may carry below zero.",
        {"variance_share": INK, "covariance_share": CATEGORIES[0], "step_share": CATEGORIES[1]},
    ),
    _Panel(
        "factors of the term",
        True,
        "Factors: the norm of the outer gradient T; what T reads, through the updates that follow, "
        "of a unit of that step’s gradient g, over ‖T‖; the norm of ∂g/∂η; and the cosine that is "
        "left.",
        {
            "outer_norm": _OUTER,
            "term_reach": _CARRIED,
            "mixed_norm": _MOVED,
            "term_alignment": _ALIGNED,
        },
    ),
    _Panel(
        "factors at their largest",
        True,
        "At their largest: the norm of G, which is the derivative of the last θ in that step’s "
        "gradient, in the direction that it stretches most, and what the term is of ‖T‖ ‖G‖ "
        "‖∂g/∂η‖. An optimiser that divides by the size of gradients stretches most where they "
        "are smallest, down to parameters of dead units, which η does not move and T does not "
        "read.",
        {
            "outer_norm": _OUTER,
            "path_norm": _CARRIED,
            "mixed_norm": _MOVED,
            "path_alignment": _ALIGNED,
        },
    ),
    _Panel(
        "factors, eq. 11 as printed",
        True,
        "As printed, by plain gradient descent, on the unrolls whose products were measured: ‖T‖, "
        "‖P‖ and ‖N‖ of term i, and T P N over their product.",
        {
            "eq11_outer_norm": _OUTER,
            _PRODUCT: _CARRIED,
            "eq11_mixed_norm": _MOVED,
            "eq11_alignment": _ALIGNED,
        },
    ),
)


def _rows(data: StudyData) -> list[Row]:
    return data.rows("terms", when="all")


def _panels(rows: list[Row]) -> list[_Panel]:
    """Those that some row has something for which no other panel has."""
    known = set().union(*rows) - _SHARED
    return [panel for panel in _PANELS if known & set(panel.columns)]


def _caption(data: StudyData) -> str:
    rows = _rows(data)
    return (
        f"Term i of the {rows[0]['horizon']}-step meta-gradient comes from the i-th inner step, "
        f"counted from the last. {' '.join(panel.words for panel in _panels(rows))} Averages over "
        "the meta-parameters and over training, of cosines without their sign; the CSV has those "
        f"of early, middle and late, too. Bands: {intervals(rows, data.confidence)}."
    )


def _draw(data: StudyData, layout: Layout) -> Figure:
    rows = _rows(data)
    shown = _panels(rows)
    places = [(name, panel) for name in distinct(rows, "configuration") for panel in shown]
    columns = len(shown) if len(shown) < 4 else 2
    figure, axes = panels(layout, len(places), columns=columns, height=2.7)
    for axis, (name, panel) in zip(axes, places, strict=True):
        _draw_panel(axis, [row for row in rows if row["configuration"] == name], panel)
        axis.set_title(panel_title(name))
    for label, colour in _LEGEND.items():
        if any(colour in panel.columns.values() for panel in shown):
            axes[0].plot([], [], color=colour, marker="o", markersize=3, label=label)
    legend_below(figure, axes[0], layout=layout, columns=4)
    return figure


def _draw_panel(axis: Axes, rows: list[Row], panel: _Panel) -> None:
    for column, colour in panel.columns.items():
        ends = [values(rows, f"{column}{end}") + (column == _PRODUCT) for end in _ENDS]
        look = {"colour": colour, "marker": "o", "markersize": 3}
        line_with_band(axis, values(rows, "term"), *ends, **look)
    (log_axis if panel.logarithmic else linear_axis)(axis, "y")
    if not panel.logarithmic:
        axis.axhline(0.0, color=INK, linewidth=0.7)
    axis.set(xlabel="term i", ylabel=panel.label)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


TERMS = FigureSpec(
    slug="terms",
    title="The terms of eq. 11 at the longest horizon",
    caption=_caption,
    available=lambda data: bool(_rows(data)),
    rows=lambda data: data.rows("terms"),
    draw=_draw,
)
