"""All files of a report, each written whole or not at all."""

import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import escape

from hessdiag.analysis import Findings, findings, to_document
from hessdiag.analysis.frames import frame
from hessdiag.errors import printable
from hessdiag.record.atomic import sweep, write_atomically
from hessdiag.record.documents import as_written, understood
from hessdiag.record.links import refuse_links
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.report import names
from hessdiag.report.figures.canvas import Box, boxes, saved, styled
from hessdiag.report.figures.palette import VARIABLES
from hessdiag.report.figures.registry import specs
from hessdiag.report.figures.spec import DrawnFigure, FigureSpec
from hessdiag.report.page import page

_FAMILY = re.compile(r"'DejaVu Sans'(?:, sans-serif)?")
_LARGEST = 2.0  # pixels per point


def write_report(directory: Path | str) -> Path:
    """See `hessdiag.report.write_report`."""
    directory = Path(directory)
    refuse_links(directory)
    outcome = findings(directory)
    with understood(directory):
        if outcome.kind == "study":
            StudyDirectory(directory).write_results(to_document(outcome))
            outcome = _as_kept(outcome)
        return write_page(outcome, directory)


def write_page(outcome: Findings, directory: Path) -> Path:
    """Write the page, figures and tables of findings into a directory."""
    refuse_links(directory)
    sweep(directory)  # a kill as one was made left its files, too
    shown = specs(outcome)
    folder = _emptied(directory / "figures", {spec.slug for spec in shown})
    drawn = [write_figure(spec, folder) for spec in shown]
    held = {name for name in names.texts("names")["tables"] if len(outcome.tables.get(name, ()))}
    folder = _emptied(directory / "tables", held, "*.csv")
    for name in held:
        write_atomically(folder / f"{name}.csv", _csv(outcome.tables[name].to_dict("records")))
    target = directory / "report.html"
    write_atomically(target, page(outcome, drawn).encode())
    return target


def _as_kept(outcome: Findings) -> Findings:
    """With numbers as results.json keeps them: the page made from it later is the same."""
    tables = {name: frame(as_written(t.to_dict("records"))) for name, t in outcome.tables.items()}
    return dataclasses.replace(outcome, tables=tables)


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
        svg = printable(saved(figure, "svg").decode())
        write_atomically(folder / f"{spec.slug}.png", saved(figure, "png"))
    alone = _FAMILY.sub("system-ui, 'DejaVu Sans', sans-serif", svg)
    write_atomically(folder / f"{spec.slug}.svg", alone.encode())
    write_atomically(folder / f"{spec.slug}.csv", _csv(spec.rows))
    places = boxes(figure)
    panels = inline_panels(svg, places, name=spec.slug, label=spec.title)
    return DrawnFigure(spec, panels, sum(top == places[0][1] for _, top, _, _ in places))


def inline_panels(svg: str, boxes: Sequence[Box], *, name: str, label: str) -> tuple[str, ...]:
    """One `svg` element per panel, in the page's fonts and colours; the first holds the drawing."""
    first, *others = map(_frame, boxes)
    text = re.sub(r"\s*<(metadata|style)[ >].*?</\1>", "", svg[svg.index("<svg ") :], flags=re.S)
    head = f'<svg {first} role="img" aria-label="{escape(label)}">'
    text = re.sub(r"<svg [^>]*>", head, text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    text = re.sub(r"(?<=: )#[0-9a-f]{6}\b", _in_page, text)
    text = _FAMILY.sub("var(--sans)", text)
    text = re.sub(r" (?:d|x|y|transform)=\"[^\"]*\"", _in_hundredths, text)
    text = re.sub(r"\s*\n\s*", "\n", text).strip()
    again = '<svg {} aria-hidden="true"><use href="#{}-figure_1"/></svg>'
    return (text, *(again.format(box, name) for box in others))


def _frame(box: Box) -> str:
    """What a panel shows of the drawing, and how large it may become."""
    sides = " ".join(f"{side:.6g}" for side in box)
    return f'viewBox="{sides}" style="max-width:{_LARGEST * box[2]:.0f}px"'


def _in_page(colour: re.Match[str]) -> str:
    variable = VARIABLES.get(colour.group())
    return f"var({variable})" if variable else colour.group()


def _in_hundredths(coordinates: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", coordinates.group())


def _csv(rows: Sequence[Mapping[Any, Any]]) -> bytes:
    """Rows at full precision; the header is every column in order of first appearance."""
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
