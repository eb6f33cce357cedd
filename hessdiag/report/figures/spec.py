"""What every figure of a report is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from hessdiag.report.csv_text import Row
from hessdiag.report.figures.canvas import Layout
from hessdiag.report.run_data import RunData


@dataclass(frozen=True)
class FigureSpec:
    """One figure: its name, its words, its numbers and its drawing.

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
    caption: Callable[[RunData], str]
    available: Callable[[RunData], bool]
    rows: Callable[[RunData], Sequence[Row]]
    draw: Callable[[RunData, Layout], Figure]
