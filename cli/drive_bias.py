"""Driving a study of bias from the command line: set-up, progress, the report."""

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import jax

from hessdiag.bias.calibration import calibrate
from hessdiag.bias.executors import in_processes
from hessdiag.bias.memory import fitted_plan, processes_that_fit
from hessdiag.bias.plan import Plan, planned, shipped
from hessdiag.bias.study import BiasStudy, said_of
from hessdiag.errors import UsageError, printable
from hessdiag.record.documents import dotted, understood
from hessdiag.record.provenance import provenance
from hessdiag.record.sweep_directory import SweepDirectory
from hessdiag.report import write_report
from hessdiag.study.processes import elsewhere
from hessdiag.train.launch import require_trusted
from hessdiag.train.self_test import require_sound_compiler, set_up_compilation

from .drive import now_under_reports, stoppable, tell_end
from .words import duration
from .workers import Workers


def drive_bias(
    name: str | None,
    resume: Path | None,
    out: Path | None,
    changes: Mapping[str, Any],
    workers: Workers,
    *,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Start the study of that name, or go on with the one in `resume`; returns the exit code.

    Raises:
        UsageError: settings are not allowed, or the directory is not one.
    """
    command = shlex.join(["hessdiag", *sys.argv[1:]])
    directory = SweepDirectory.open(resume) if resume else None
    plan = _kept(directory) if directory else planned(shipped(name or ""), changes)
    set_up_compilation()  # what is compiled to know the need of memory is found again
    plan = fitted_plan(plan, tell=_tell)
    kept = directory.cores if directory else None
    number, cores = workers.apart(len(plan.points()), kept)
    number = processes_that_fit(plan, number)
    if dry_run:
        _print_plan(plan, number, cores)
        return 0
    if directory is None:
        with jax.enable_x64(True):  # as its numbers are computed
            source = provenance(command, compiler_self_test=require_sound_compiler())
        path = out or now_under_reports(name or "")
        directory = SweepDirectory.create(
            path, plan.document, said_of(plan), source, name=name or "", cores=cores
        )
    else:
        directory.note_resumption(command)
    path = directory.path
    with stoppable("study", "--resume", str(path)) as stop:
        progress, executor = _Progress(quiet=quiet), in_processes(number, cores)
        study = BiasStudy(
            directory, plan, stop, progress, lambda: write_report(path), executor, _tell
        )
        study.go()
    tell_end(path, quiet=quiet)
    return 0


def refuse_others(given: Mapping[str, Any]) -> None:
    """Refuse flags of studies of trainings (UsageError)."""
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"{flag}: not allowed with a study of bias; allowed: --set, --out, --resume, "
                "--workers, --dry-run, --quiet"
            )


def _kept(directory: SweepDirectory) -> Plan:
    """The plan of a study to go on with, which may come from anywhere: it imports no code."""
    document = directory.document["plan"]
    with understood(directory.path / "study.json"):
        given = [document.get("changes", {})]
        for sweep in document["sweep"]:
            exact = sweep["reference"]
            given += [dotted(sweep.get("settings", {})), sweep["vary"]]
            given += [] if isinstance(exact, str) else [dotted(exact)]
        for settings in given:
            require_trusted(settings, {}, directory.path)
        return planned(document, document.get("changes"))


def _print_plan(plan: Plan, processes: int, cores: int) -> None:
    """Every point, and what each sweep takes, from a calibration of two of its points."""
    points = plan.points()
    for point in points:
        click.echo(point.slug)
    total = 0.0
    with elsewhere(cores) as call:  # timed as it is going to run
        for sweep in plan.sweeps:
            cost = call(calibrate, sweep)
            total += cost.seconds
            memory = f"{cost.memory_bytes / 2**20:,.0f} MiB"
            taken = f"about {duration(cost.seconds)}, {memory}"
            click.echo(f"{sweep.name}: {taken} if all points are like {cost.slug}")
    side_by_side = f" in {processes} processes" if processes > 1 else ""
    click.echo(
        f"{len(points)} points, {sum(len(p.cells) for p in points)} cells, about "
        f"{duration(total / max(1, processes))} to draw estimates on this machine{side_by_side}; "
        "exact meta-gradients and intervals come on top"
    )


def _tell(message: str) -> None:
    click.echo(printable(f"hessdiag: {message}"), err=True)


class _Progress:
    """A line per point, with the time that is left."""

    def __init__(self, *, quiet: bool):
        self._quiet = quiet
        self._began = time.monotonic()
        self._first = 0

    def __call__(self, done: int, total: int, name: str | None) -> None:
        if name is None:
            self._first = done
            return
        if self._quiet:
            return
        rate = (time.monotonic() - self._began) / (done - self._first)
        left = f", about {duration(rate * (total - done))} left" if done < total else ""
        click.echo(f"[{done}/{total}] {name}{left}")
