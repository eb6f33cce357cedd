"""Names, colours and marks of the operators, the same in all figures."""

import numpy as np
from matplotlib.axes import Axes

from hessdiag.report.figures.palette import CATEGORIES, PAPER

_LABELS = {
    "paper": "paper, I + H",
    "preconditioned": "preconditioned",
    "update": "update",
    "augmented": "augmented",
}
_MARKERS = "osD^v"
_DASHES = (0, (1.2, 1.0))
_SIZE = 4.6
_FILLS = ("none", "left", "full")  # by certainty


def operator_label(name: str) -> str:
    """What the legend calls an operator."""
    return _LABELS.get(name, name)


def operator_colour(name: str) -> str:
    """The operator's colour."""
    return CATEGORIES[_place(name) % len(CATEGORIES)]


def operator_marker(name: str) -> str:
    """The operator's marker."""
    return _MARKERS[_place(name) % len(_MARKERS)]


def draw_bars(
    axis: Axes, x: np.ndarray, value: np.ndarray, error: np.ndarray, bounded: np.ndarray, name: str
) -> None:
    """Error bars: solid where they are bounds, dotted where they are not.

    Args:
        axis: The panel.
        x: Places.
        value: Middles of the bars.
        error: Half their lengths.
        bounded: Where they are bounds.
        name: The operator.
    """
    colour, low, high = operator_colour(name), value - error, value + error
    for chosen, dashes in ((bounded, None), (~bounded, _DASHES)):
        bars = axis.vlines(x[chosen], low[chosen], high[chosen], colors=colour, linewidth=1)
        if dashes is not None:
            bars.set_linestyle(dashes)


def draw_markers(
    axis: Axes, x: np.ndarray, value: np.ndarray, certain: np.ndarray, name: str
) -> None:
    """Markers that are full, half full or hollow.

    Args:
        axis: The panel.
        x: Places.
        value: Heights.
        certain: 2, 1 or 0 for full, half full and hollow.
        name: The operator.
    """
    colour = operator_colour(name)
    for level, fill in enumerate(_FILLS):
        chosen = certain == level
        axis.plot(
            x[chosen],
            value[chosen],
            operator_marker(name),
            color=colour,
            markersize=_SIZE,
            markeredgewidth=0.8,
            fillstyle="full" if fill == "none" else fill,
            markerfacecolor=PAPER if fill == "none" else colour,
            markerfacecoloralt=PAPER,
            zorder=3,
        )


def _place(name: str) -> int:
    names = list(_LABELS)
    return names.index(name) if name in names else len(names)
