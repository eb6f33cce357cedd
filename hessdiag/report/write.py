"""All files of a report, each written whole or not at all."""

import dataclasses
from pathlib import Path

from hessdiag.analysis import Findings, findings, to_document
from hessdiag.analysis.frames import frame
from hessdiag.record.atomic import write_atomically
from hessdiag.record.documents import as_written
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.report import names
from hessdiag.report.csv_text import csv_bytes
from hessdiag.report.figures.files import write_figure
from hessdiag.report.figures.registry import specs
from hessdiag.report.page import page


def write_report(directory: Path | str) -> Path:
    """See `hessdiag.report.write_report`."""
    directory = Path(directory)
    found = findings(directory)
    if found.kind == "study":
        StudyDirectory(directory).write_results(to_document(found))
        found = _as_kept(found)
    folder = directory / "figures"
    folder.mkdir(exist_ok=True)
    drawn = [write_figure(spec, folder) for spec in specs(found)]
    for stale in folder.iterdir():
        if stale.stem not in {figure.slug for figure in drawn}:
            stale.unlink()
    _write_tables(found, directory / "tables")
    target = directory / "report.html"
    write_atomically(target, page(found, drawn).encode())
    return target


def _as_kept(found: Findings) -> Findings:
    """With numbers as results.json keeps them: the page made from it later is the same."""
    tables = {
        name: frame(as_written(table.to_dict("records"))) for name, table in found.tables.items()
    }
    return dataclasses.replace(found, tables=tables)


def _write_tables(found: Findings, folder: Path) -> None:
    """A CSV of every table that the page folds, at full precision."""
    folder.mkdir(exist_ok=True)
    held = {name for name in names.named()["tables"] if len(found.tables.get(name, ()))}
    for stale in folder.glob("*.csv"):
        if stale.stem not in held:
            stale.unlink()
    for name in held:
        write_atomically(folder / f"{name}.csv", csv_bytes(found.tables[name].to_dict("records")))
