"""All files of a study's report, each written whole or not at all."""

from pathlib import Path

from hessdiag.record.atomic import write_atomically
from hessdiag.report.csv_text import csv_bytes
from hessdiag.report.figures.files import write_figure
from hessdiag.report.studies.data import load_study
from hessdiag.report.studies.figures import FIGURES
from hessdiag.report.studies.page import study_page

TABLES = ("final", "standings", "joint", "curvature")  # shown as tables


def write_study_report(directory: Path | str) -> Path:
    """Write `report.html`, `figures/` and `tables/` into a study directory.

    Args:
        directory: A study directory with results.json.

    Returns:
        Where the page is.

    Raises:
        UsageError: The study cannot be read.
    """
    data = load_study(directory)
    folder = data.directory / "figures"
    folder.mkdir(exist_ok=True)
    drawn = {}
    for spec in FIGURES:
        if spec.available(data):
            drawn[spec.slug] = write_figure(spec, data, data, folder)
        else:  # what fewer cells had to show
            for stale in folder.glob(f"{spec.slug}.*"):
                stale.unlink()
    for table in TABLES:
        if rows := data.rows(table):
            (data.directory / "tables").mkdir(exist_ok=True)
            write_atomically(data.directory / "tables" / f"{table}.csv", csv_bytes(rows))
    target = data.directory / "report.html"
    write_atomically(target, study_page(data, drawn).encode())
    return target
