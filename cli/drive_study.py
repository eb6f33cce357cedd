"""Driving a study from the command line: plan, display, exit code."""

import logging
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hessdiag.report import write_report
from hessdiag.report.studies import write_study_report
from hessdiag.results import study_results
from hessdiag.study import Study, StudyDirectory, calibrate, planned
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.provenance import provenance, utc_now

from .compilation import set_up_compilation
from .study_display import LiveStudyDisplay, PlainStudyDisplay, plan_table


def new_study(
    name: str | None,
    config: Path | None,
    common: Mapping[str, Any],
    varied: Mapping[str, Any],
    out: Path | None,
    *,
    command: str,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Start a study in a new directory, or only plan it; returns the exit code."""
    set_up_compilation()
    grid = planned(name, config, common, varied)
    cells = grid.cells()
    if dry_run:
        return _plan(cells)
    title = name or "study"
    path = out or Path("reports") / f"{title}-{utc_now().strftime('%Y%m%dT%H%M%SZ')}"
    directory = StudyDirectory.create(path, grid, provenance(command), name=title)
    return _drive(directory, cells, command, quiet)


def continue_study(path: Path, *, command: str, dry_run: bool, quiet: bool) -> int:
    """Go on with the study in `path`; returns the exit code."""
    set_up_compilation()
    directory = StudyDirectory.open(path)
    cells = directory.grid.cells()
    if dry_run:
        return _plan([cell for cell in cells if directory.status(cell).state != "finished"])
    return _drive(directory, cells, command, quiet)


def report_on(directory: StudyDirectory, cells) -> Path:
    """Make a study's results and report from the cells that have begun; returns the page."""
    directory.write_results(study_results(directory, cells))
    return write_study_report(directory.path)


def _plan(cells) -> int:
    """Print every cell with its estimate, one calibration per configuration."""
    estimates = {}
    for cell in cells:
        if cell.configuration not in estimates:
            click.echo(f"calibrating {cell.name or 'the run'}", err=True)
            estimates[cell.configuration] = calibrate(cell.settings)
    plan_table(cells, estimates)
    return 0


def _drive(directory: StudyDirectory, cells, command: str, quiet: bool) -> int:
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax's; its errors are raised as well
    live = sys.stdout.isatty() and not quiet
    display = LiveStudyDisplay(directory, cells) if live else PlainStudyDisplay(cells, quiet=quiet)
    try:
        with StopRequest() as stop, display:
            failed = Study(
                directory,
                cells,
                command=command,
                observer=display,
                stop=stop,
                publish=write_report,
                conclude=lambda: report_on(directory, cells),
            ).go()
    except Interrupted as stopped:
        again = shlex.join(["hessdiag", "study", "--resume", str(directory.path)])
        click.echo(f"hessdiag: {stopped}; saved. Go on with: {again}", err=True)
        return 128 + stopped.signal_number
    click.echo(directory.path)
    if failed:
        click.echo(f"hessdiag: {failed} of {len(cells)} cells failed", err=True)
    return 1 if failed else 0
