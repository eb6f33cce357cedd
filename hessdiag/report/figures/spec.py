"""What every figure of a report is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from hessdiag.report.csv_text import Row
from hessdiag.report.figures.canvas import Layout


@dataclass(frozen=True)
class FigureSpec:
    """One figure: its name, its words, its numbers and its drawing.

    What it is made from is a `RunData`, or a `StudyData` for the figures of studies.

    Attributes:
        slug: Stem of its file names and its anchor in the page.
        title: Heading of the caption.
        caption: What is shown and what the error bars are, for a given run.
        available: Whether a run has anything to show.
        rows: The numbers shown, at full precision.
        draw: The drawing in a given layout.
    """

    slug: str
    title: str
    caption: Callable[[Any], str]
    available: Callable[[Any], bool]
    rows: Callable[[Any], Sequence[Row]]
    draw: Callable[[Any, Layout], Figure]
