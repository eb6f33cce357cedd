"""What every figure of a report is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureSpec:
    """One figure: its name, its words, its numbers and its drawing.

    Attributes:
        slug: Stem of its file names and its anchor in the page.
        title: What it says, in one line.
        caption: How to read it, in at most 40 words.
        rows: The numbers shown, at full precision.
        draw: The drawing.
        tabs: Names of the panels where they are shown one at a time; empty for all at once.
    """

    slug: str
    title: str
    caption: str
    rows: Sequence[Mapping[str, Any]]
    draw: Callable[[], Figure]
    tabs: tuple[str, ...] = ()
