"""The files of a figure: drawings in two formats, and its numbers."""

from dataclasses import dataclass
from pathlib import Path

from hessdiag.record.atomic import write_atomically
from hessdiag.report.csv_text import csv_bytes
from hessdiag.report.figures.canvas import boxes, saved, styled
from hessdiag.report.figures.inline_svg import inline_panels, standalone_svg
from hessdiag.report.figures.spec import FigureSpec


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as the page holds it: SVG by panel, so many side by side or a tab for each."""

    slug: str
    title: str
    caption: str
    panels: tuple[str, ...]
    columns: int
    tabs: tuple[str, ...]


def write_figure(spec: FigureSpec, folder: Path) -> DrawnFigure:
    """Draw a figure once and write its files."""
    with styled(spec.slug):
        figure = spec.draw()
        svg = saved(figure, "svg")
        write_atomically(folder / f"{spec.slug}.png", saved(figure, "png"))
    write_atomically(folder / f"{spec.slug}.svg", standalone_svg(svg))
    write_atomically(folder / f"{spec.slug}.csv", csv_bytes(spec.rows))
    places = boxes(figure)
    panels = inline_panels(svg, places, name=spec.slug, label=spec.title)
    columns = sum(top == places[0][1] for _, top, _, _ in places)
    return DrawnFigure(spec.slug, spec.title, spec.caption, panels, columns, spec.tabs)
