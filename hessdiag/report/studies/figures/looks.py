"""How configurations, phases and estimators look in every figure of a study."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from hessdiag.report.figures.palette import CATEGORIES, INK, sequence

PHASES = ("early", "middle", "late")
_DODGE = 0.2  # of the distance between places


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour per configuration: of a sequence where there are more than the categories hold."""
    if len(names) <= len(CATEGORIES):
        return dict(zip(names, CATEGORIES, strict=False))
    return {name: sequence(k, len(names)) for k, name in enumerate(names)}


def phase_colours(phases: Sequence[str]) -> dict[str, str]:
    """Early to late."""
    return {phase: sequence(PHASES.index(phase), len(PHASES)) for phase in phases}


def dodged(places: Sequence[int], index: int, count: int) -> np.ndarray:
    """Places on a horizontal axis, set apart for number `index` of `count` things that share them.

    Args:
        places: One per value shown.
        index: From 0.
        count: How many things there are.
    """
    return np.array(places) + _DODGE * (index - (count - 1) / 2)


def panel_title(configuration: str) -> str:
    """What a panel is about."""
    return configuration or "all runs"


def line_with_band(axis: Axes, x, value, low, high, *, colour: str = INK, **look) -> None:
    """A curve with its interval, which is left out where it is not known."""
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        axis.fill_between(x, low, high, where=known, color=colour, alpha=0.16, linewidth=0)
    axis.plot(x, value, color=colour, **look)
