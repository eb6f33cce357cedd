"""What every figure of a report is made of, and what a page holds of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from hessdiag.report.names import texts
from hessdiag.report.select import Frame


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
    rows: Sequence[Mapping[Any, Any]]
    draw: Callable[[], Figure]
    tabs: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as the page holds it: SVG by panel, so many side by side or a tab for each."""

    spec: FigureSpec
    panels: tuple[str, ...]
    columns: int


def figure_spec(
    slug: str,
    rows: Frame,
    draw: Callable[[], Figure],
    tabs: Sequence[str] = (),
    *,
    words_of: str = "",
    **words: object,
) -> FigureSpec:
    """A figure with the title and the caption that figures.toml has for it, filled with words.

    Those of another slug, `words_of`, where several figures are of one kind.
    """
    held = texts("figures")[words_of or slug]
    title, caption = (held[part].format(**words) for part in ("title", "caption"))
    records = rows if isinstance(rows, Sequence) else rows.to_dict("records")
    return FigureSpec(slug, title, caption, records, draw, tuple(tabs))
