"""All files of a report, each written whole or not at all."""

from dataclasses import replace
from pathlib import Path

from hessdiag.record.atomic import write_atomically
from hessdiag.report.csv_text import csv_bytes
from hessdiag.report.figures.files import write_figure
from hessdiag.report.figures.registry import FIGURES
from hessdiag.report.page import page
from hessdiag.report.probes import without_infinities
from hessdiag.report.run_data import load
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
            drawn[spec.slug] = write_figure(spec, data, drawable, folder)
    if data.probes:
        write_atomically(folder / "probes.csv", csv_bytes(spectrum_rows(data)))
    target = data.directory / "report.html"
    write_atomically(target, page(data, drawn).encode())
    return target
