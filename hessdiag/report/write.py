"""All files of a report, each written whole or not at all."""

from pathlib import Path

from hessdiag.analysis import Findings, findings, to_document
from hessdiag.record.atomic import write_atomically
from hessdiag.record.study_directory import StudyDirectory
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


def _write_tables(found: Findings, folder: Path) -> None:
    """A CSV of every table, at full precision."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.csv"):
        if stale.stem not in found.tables:
            stale.unlink()
    for name, frame in found.tables.items():
        write_atomically(folder / f"{name}.csv", csv_bytes(frame.to_dict("records")))
