"""Driving a study from the command line: plan, display, exit code."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hessdiag.record.provenance import provenance, utc_now
from hessdiag.report import write_report
from hessdiag.study import (
    TOGETHER,
    Cell,
    Estimate,
    Grid,
    Study,
    StudyDirectory,
    calibrate,
    groups,
    planned,
)
from hessdiag.train.self_test import require_sound_compiler

from .compilation import set_up_compilation
from .stopping import stoppable
from .study_display import LiveStudyDisplay, PlainStudyDisplay, Plan, plan_table


@dataclass(frozen=True)
class How:
    """How a study is driven, whatever it runs.

    Attributes:
        command: the command line.
        together: seeds that train as one program at the most, where that was said.
        dry_run: only to plan it.
        quiet: to print nothing but its path.
    """

    command: str
    together: int | None
    dry_run: bool
    quiet: bool

    @property
    def seeds(self) -> int:
        """How many train as one program at the most."""
        return self.together or TOGETHER


def new_study(
    name: str | None,
    config: Path | None,
    common: Mapping[str, Any],
    varied: Mapping[str, Any],
    out: Path | None,
    how: How,
) -> int:
    """Start a study in a new directory, or only plan it; returns the exit code."""
    grid = planned(name, config, common, varied)
    cells = grid.cells()
    set_up_compilation()
    if how.dry_run:
        return _plan(groups(cells, how.seeds))
    title = name or "study"
    path = out or Path("reports") / f"{title}-{utc_now().strftime('%Y%m%dT%H%M%SZ')}"
    source = provenance(how.command, compiler_self_test=require_sound_compiler())
    directory = StudyDirectory.create(path, grid, source, name=title)
    return _drive(directory, cells, how)


def continue_study(path: Path, how: How) -> int:
    """Go on with the study in `path`; returns the exit code."""
    set_up_compilation()
    directory = StudyDirectory.open(path)
    cells = Grid(*directory.plan).cells()
    waiting = [
        [cell for cell in group if directory.status(cell).state != "finished"]
        for group in groups(cells, how.seeds)
    ]
    if how.dry_run:
        return _plan([group for group in waiting if group])
    if any(waiting):
        directory.note_resumption(how.command)
    return _drive(directory, cells, how)


def _plan(groups_of_cells: Sequence[Sequence[Cell]]) -> int:
    """Print every cell with its estimate; one calibration per configuration and number of seeds."""
    estimates: dict[tuple[str, int], Estimate] = {}
    plans = []
    for cells in groups_of_cells:
        program = repr(cells[0].configuration), len(cells)
        is_new = program not in estimates
        if is_new:
            names = ", ".join(cell.name for cell in cells) or "the run"
            click.echo(f"calibrating {names}", err=True)
            estimates[program] = calibrate(cells[0].settings, seeds=len(cells))
        plans.append(Plan(cells, estimates[program], is_compiled=not is_new))
    plan_table(plans)
    return 0


def _drive(directory: StudyDirectory, cells: list[Cell], how: How) -> int:
    live = sys.stdout.isatty() and not how.quiet
    display = (
        LiveStudyDisplay(directory, cells) if live else PlainStudyDisplay(cells, quiet=how.quiet)
    )
    together = ["--together", str(how.together)] if how.together else []
    with stoppable("study", "--resume", str(directory.path), *together) as stop, display:
        study = Study(
            directory,
            cells,
            command=how.command,
            observer=display,
            stop=stop,
            publish=write_report,
            conclude=lambda: write_report(directory.path),
            together=how.seeds,
        )
        failed = study.go()
    click.echo(directory.path)
    if failed:
        click.echo(f"hessdiag: {failed} of {len(cells)} cells failed", err=True)
    return 1 if failed or study.missing_reports else 0
