"""All files of a report, each written whole or not at all."""

import csv
import dataclasses
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hessdiag.analysis import Findings, findings, to_document
from hessdiag.analysis.frames import frame
from hessdiag.record.atomic import write_atomically
from hessdiag.record.documents import as_written
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.report import names
from hessdiag.report.figures.canvas import boxes, saved, styled
from hessdiag.report.figures.inline_svg import inline_panels, standalone_svg
from hessdiag.report.figures.registry import specs
from hessdiag.report.figures.spec import DrawnFigure, FigureSpec
from hessdiag.report.page import page


def write_report(directory: Path | str) -> Path:
    """See `hessdiag.report.write_report`."""
    directory = Path(directory)
    found = findings(directory)
    if found.kind == "study":
        StudyDirectory(directory).write_results(to_document(found))
        found = _as_kept(found)
    shown = specs(found)
    folder = _emptied(directory / "figures", {spec.slug for spec in shown})
    drawn = [write_figure(spec, folder) for spec in shown]
    held = {name for name in names.texts("names")["tables"] if len(found.tables.get(name, ()))}
    folder = _emptied(directory / "tables", held, "*.csv")
    for name in held:
        write_atomically(folder / f"{name}.csv", _csv(found.tables[name].to_dict("records")))
    target = directory / "report.html"
    write_atomically(target, page(found, drawn).encode())
    return target


def _as_kept(found: Findings) -> Findings:
    """With numbers as results.json keeps them: the page made from it later is the same."""
    tables = {
        name: frame(as_written(table.to_dict("records"))) for name, table in found.tables.items()
    }
    return dataclasses.replace(found, tables=tables)


def _emptied(folder: Path, kept: set[str], pattern: str = "*") -> Path:
    """A folder without the files of an earlier report that this one does not write again."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob(pattern):
        if stale.stem not in kept:
            stale.unlink()
    return folder


def write_figure(spec: FigureSpec, folder: Path) -> DrawnFigure:
    """Draw a figure once and write its files: drawings in two formats, and its numbers."""
    with styled(spec.slug):
        figure = spec.draw()
        svg = saved(figure, "svg")
        write_atomically(folder / f"{spec.slug}.png", saved(figure, "png"))
    write_atomically(folder / f"{spec.slug}.svg", standalone_svg(svg))
    write_atomically(folder / f"{spec.slug}.csv", _csv(spec.rows))
    places = boxes(figure)
    panels = inline_panels(svg, places, name=spec.slug, label=spec.title)
    columns = sum(top == places[0][1] for _, top, _, _ in places)
    return DrawnFigure(spec.slug, spec.title, spec.caption, panels, columns, spec.tabs)


def _csv(rows: Sequence[Mapping[Any, Any]]) -> bytes:
    """Rows at full precision; the header is every column in order of first appearance."""
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
