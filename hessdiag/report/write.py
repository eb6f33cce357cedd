"""All files of a report, each written whole or not at all."""

from dataclasses import replace
from pathlib import Path

from hessdiag.report.atomic import write_atomically
from hessdiag.report.csv_text import csv_bytes
from hessdiag.report.figures.canvas import NARROW, WIDE, saved, styled
from hessdiag.report.figures.inline_svg import inline_svg, standalone_svg
from hessdiag.report.figures.registry import FIGURES
from hessdiag.report.figures.spec import FigureSpec
from hessdiag.report.page import DrawnFigure, page
from hessdiag.report.probes import without_infinities
from hessdiag.report.run_data import RunData, load
from hessdiag.report.tables.probes import spectrum_rows


def write_report(directory: Path | str) -> Path:
    """Write `report.html` and `figures/` into a run directory.

    The page comes last, so that it never names a file that is not there yet. The same run gives
    the same bytes.

    Args:
        directory: A run directory.

    Returns:
        Where the page is.

    Raises:
        UsageError: The run directory cannot be read.
    """
    data = load(directory)
    folder = data.directory / "figures"
    folder.mkdir(exist_ok=True)
    drawable = replace(data, probes=tuple(map(without_infinities, data.probes)))
    drawn = {}
    for spec in FIGURES:
        if spec.available(data):
            drawn[spec.slug] = _write_figure(data, drawable, spec, folder)
    if data.probes:
        write_atomically(folder / "probes.csv", csv_bytes(spectrum_rows(data)))
    target = data.directory / "report.html"
    write_atomically(target, page(data, drawn).encode())
    return target


def _write_figure(data: RunData, drawable: RunData, spec: FigureSpec, folder: Path) -> DrawnFigure:
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
