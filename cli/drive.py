"""Driving a run or a study from the command line: set-up, display, reports, exit code."""

import contextlib
import itertools
import logging
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hessdiag.analysis import of_results
from hessdiag.devices import local_devices
from hessdiag.errors import printable
from hessdiag.record.provenance import provenance, utc_now
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.record.trackers import require_installed
from hessdiag.report import write_report
from hessdiag.report.words import title
from hessdiag.study.grid import Cell, Grid, groups
from hessdiag.study.split import Split
from hessdiag.study.study import Study
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import naming, reopen, start
from hessdiag.train.presets import resolve
from hessdiag.train.room import fitted
from hessdiag.train.run import Run
from hessdiag.train.seed_run import SeedRun
from hessdiag.train.self_test import require_sound_compiler, set_up_compilation
from hessdiag.train.settings import Settings, flatten

from .display import make_display
from .dry_run import fitted_cells, fitted_groups, print_plan
from .study_display import LiveStudyDisplay, PlainStudyDisplay, StudyDisplay
from .tracking import tracked, tracked_study
from .workers import Workers


def drive_run(
    flags: Mapping[str, Any],
    config: Path | None,
    out: Path | None,
    resume: Path | None,
    *,
    command: str,
    devices: int | None = None,
    trackers: Sequence[str] = (),
    dry_run: bool = False,
    quiet: bool,
    as_json: bool,
) -> None:
    """Start a run in a new directory, or go on with the one in `resume`, to its end.

    A dry run only tells what a new one would take. What does not fit into memory is refused.
    """
    require_installed(trackers)
    if resume is not None:
        set_up_compilation()
        sharing = local_devices(devices)
        settings, directory = reopen(resume, command=command, trusted=flags, devices=sharing)
        fitted(settings)
    else:
        settings = resolve(flags, config)  # bad input is refused at once
        set_up_compilation()
        sharing = local_devices(devices)
        fits = fitted_cells([Cell("", "", {}, settings)], dry_run=dry_run)
        if dry_run:
            print_plan([fits])
            return
        directory = start(
            settings, out or _default_path(settings), command=command, devices=sharing
        )
    path = directory.path
    display = make_display(quiet=quiet, as_json=as_json)
    again = [*naming(flatten(settings)), *(["--devices", str(devices)] if devices else [])]
    with (
        stoppable("run", "--resume", str(path), *again) as stop,
        display.shown(settings, path, lambda: write_report(path)),
        tracked(display, trackers, path) as observer,
    ):
        Run([SeedRun(settings, directory, observer)], stop=stop, devices=sharing).go()


def _default_path(settings: Settings) -> Path:
    """reports/<env>-n<n>-seed<seed>-<UTC time>, under the current directory."""
    name = settings.env.replace(":", "-").replace(".", "-")
    estimator = "" if settings.estimator == Settings.estimator else f"-{settings.estimator}"
    return now_under_reports(f"{name}-n{settings.n}{estimator}-seed{settings.seed}")


def now_under_reports(name: str) -> Path:
    """reports/<name>-<UTC time>, under the current directory."""
    return Path("reports") / f"{name}-{utc_now().strftime('%Y%m%dT%H%M%SZ')}"


@contextlib.contextmanager
def stoppable(*again: str) -> Iterator[StopRequest]:
    """A stop request that signals make, for the work inside; `hessdiag *again` goes on with it.

    Raises:
        Exit: it was heeded and everything is saved; with 128 and the signal's number.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax's; its errors are raised as well
    try:
        with StopRequest() as stop:
            yield stop
    except Interrupted as stopped:
        command = shlex.join(["hessdiag", *again])
        click.echo(f"hessdiag: {stopped}; saved. Go on with: {command}", err=True)
        raise click.exceptions.Exit(128 + stopped.signal_number) from stopped


def drive_study(
    grid: Grid,
    directory: StudyDirectory | None,
    name: str,
    out: Path | None,
    *,
    command: str,
    workers: Workers,
    trackers: Sequence[str],
    dry_run: bool,
    quiet: bool,
) -> int:
    """Start a study in a new directory, or go on with one; returns the exit code.

    Args:
        grid: what it runs.
        directory: None for a new one, which is called `name` and kept at `out`, if that is said.
        name: of a new one.
        out: of a new one.
        command: the command line.
        workers: where cells run.
        trackers: names of those that hear of every cell.
        dry_run: only to plan it.
        quiet: to print nothing but its path.
    """
    require_installed(trackers)
    cells = grid.cells()
    set_up_compilation()
    kept = Split.kept(directory.document) if directory else None
    split = workers.split(cells, kept, trackers)
    left = fitted_groups(_left(cells, directory, split.together), workers, dry_run=dry_run)
    if dry_run:
        print_plan(left, workers.processes(split, left), split.cores)
        return 0
    with workers.executor(split, left) as executor:
        if directory is not None and left:
            directory.note_resumption(command)
        directory = directory or _made(grid, out or now_under_reports(name), name, command, split)
        path = directory.path
        again = _again(grid, workers.flags(), trackers)
        display = _display(cells, directory, quiet=quiet)
        with (
            stoppable("study", "--resume", str(path), *again) as stop,
            display.screen,
            tracked_study(display, trackers, directory) as observer,
        ):
            study = Study(
                directory,
                cells,
                command=command,
                observer=observer,
                stop=stop,
                publish=write_report,
                conclude=lambda: write_report(path),
                together=split.together,
                executor=executor,
                devices=workers.devices,
            )
            failed = study.go()
    tell_end(path, quiet=quiet)
    if failed:
        click.echo(f"hessdiag: {failed} of {len(cells)} cells failed", err=True)
    return 1 if failed or study.missing_reports else 0


def tell_end(path: Path, *, quiet: bool) -> None:
    """What a study found, where its report is, and its path; the last alone where it is quiet."""
    if not quiet and (path / "results.json").is_file():
        click.echo(printable(title(of_results(path))))
        click.echo(path / "report.html")
    click.echo(path)


def _made(grid: Grid, path: Path, name: str, command: str, split: Split) -> StudyDirectory:
    source = provenance(command, compiler_self_test=require_sound_compiler())
    return StudyDirectory.create(path, grid, source, name=name, split=split._asdict())


def _left(cells: Sequence[Cell], directory: StudyDirectory | None, seeds: int) -> list[list[Cell]]:
    """What is not finished, in the groups that train as one program."""
    waiting = {
        cell.slug
        for cell in cells
        if directory is None or directory.status(cell).state != "finished"
    }
    left = [[c for c in group if c.slug in waiting] for group in groups(cells, seeds)]
    return [*filter(None, left)]


def _again(grid: Grid, flags: Mapping[str, str], trackers: Sequence[str]) -> list[str]:
    """What a command that goes on with a study says besides."""
    told = naming({**grid.common, **grid.varied})
    pairs = [*flags.items(), *(("--log", name) for name in trackers)]
    return [*told, *itertools.chain.from_iterable(pairs)]


def _display(cells: Sequence[Cell], directory: StudyDirectory, *, quiet: bool) -> StudyDisplay:
    """What shows the cells."""
    if sys.stdout.isatty() and not quiet:
        return LiveStudyDisplay(cells, directory)
    return (StudyDisplay if quiet else PlainStudyDisplay)(cells)
