"""The files of a figure: drawings in two formats, and its numbers."""

from pathlib import Path
from typing import Any

from hessdiag.record.atomic import write_atomically
from hessdiag.report.csv_text import csv_bytes
from hessdiag.report.figures.canvas import NARROW, WIDE, saved, styled
from hessdiag.report.figures.inline_svg import inline_svg, standalone_svg
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.html import DrawnFigure


def write_figure(spec: FigureSpec, data: Any, drawable: Any, folder: Path) -> DrawnFigure:
    """Draw a figure and write its files.

    Args:
        spec: The figure.
        data: What its numbers and words are of.
        drawable: The same, fit for drawing.
        folder: Where the files go.

    Returns:
        The figure as a page holds it.
    """
    with styled(spec.slug):
        wide = spec.draw(drawable, WIDE)
        svg = saved(wide, "svg")
        write_atomically(folder / f"{spec.slug}.svg", standalone_svg(svg))
        write_atomically(folder / f"{spec.slug}.png", saved(wide, "png"))
        narrow = saved(spec.draw(drawable, NARROW), "svg")
    write_atomically(folder / f"{spec.slug}.csv", csv_bytes(spec.rows(data)))
    return DrawnFigure(
        slug=spec.slug,
        title=spec.title,
        caption=spec.caption(data),
        wide=inline_svg(svg, name=spec.slug, label=spec.title),
        narrow=inline_svg(narrow, name=f"{spec.slug}-narrow", label=spec.title),
    )
