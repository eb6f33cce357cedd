"""What a study would take: its cells with time and memory, from a short calibration."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hessdiag.errors import printable
from hessdiag.probes.chunks import unheard
from hessdiag.study.calibration import Estimate, calibrate
from hessdiag.study.grid import Cell
from hessdiag.study.processes import elsewhere
from hessdiag.train.free_memory import free_memory
from hessdiag.train.room import fitted, size
from hessdiag.train.settings import probe_iterations

from .words import duration
from .workers import Workers

PIPED = 160  # columns, where no terminal says


def fitted_cells(cells: Sequence[Cell], *, dry_run: bool) -> list[Cell]:
    """Cells that train as one program, with chunks that fit into memory.

    A dry run tells of smaller ones; else the run itself does.

    Raises:
        UsageError: they do not fit.
    """
    tell = (lambda message: click.echo(printable(message), err=True)) if dry_run else unheard
    probe = fitted(cells[0].settings, seeds=len(cells), tell=tell).probe
    return [replace(cell, settings=replace(cell.settings, probe=probe)) for cell in cells]


def fitted_groups(
    groups: Sequence[list[Cell]], workers: Workers, *, dry_run: bool
) -> list[list[Cell]]:
    """The same of many; those that run where other memory is are left as they are."""
    if workers.scheduler is not None:
        return [*groups]
    return [fitted_cells(cells, dry_run=dry_run) for cells in groups]


def print_plan(groups: Sequence[Sequence[Cell]], processes: int = 0, cores: int = 0) -> None:
    """Print every cell with its estimate; one calibration per configuration and number of seeds.

    Args:
        groups: cells that train together.
        processes: that run them side by side; 0: this one does.
        cores: of each process.
    """
    with elsewhere(cores if processes else 0) as call:  # timed as it is going to run
        _print_plan(groups, max(1, processes), call)


def _print_plan(groups: Sequence[Sequence[Cell]], processes: int, call: Callable[..., Any]) -> None:
    number = sum(map(len, groups))
    table = Table(title=f"{number} cell{'s' * (number > 1)}", title_justify="left")
    for heading in ("cell", "iterations", "probes", "compile", "training", "probes take", "memory"):
        name = heading == "cell"
        table.add_column(heading, justify="left" if name else "right", no_wrap=name)
    estimates: dict[tuple[str, int], Estimate] = {}
    total = 0.0
    for cells in groups:
        program = repr(cells[0].configuration), len(cells)
        compiling = "cached"
        if program not in estimates:
            names = ", ".join(cell.name for cell in cells) or "the run"
            click.echo(printable(f"calibrating {names}"), err=True)
            estimates[program] = call(calibrate, cells[0].settings, len(cells))
            compiling = duration(estimates[program].compile_seconds)
            total += estimates[program].compile_seconds
        estimate = estimates[program]
        total += estimate.training_seconds + len(cells) * estimate.probe_seconds
        of_program = (
            compiling,
            duration(estimate.training_seconds),
            f"{estimate.memory_bytes / 2**20:,.0f} MiB",
        )
        for cell in cells:
            compiles, training, memory = of_program
            of_program = ("cached", "together", "together")
            table.add_row(
                Text(printable(cell.name or "run")),
                f"{cell.settings.train.iterations:,}",
                str(len(probe_iterations(cell.settings))),
                *(compiles, training, duration(estimate.probe_seconds), memory),
            )
    console = Console(width=None if sys.stdout.isatty() else PIPED)
    console.print(table)
    side_by_side = f" in {processes} processes" if processes > 1 else ""
    console.print(
        f"about {duration(total / processes)} on this machine{side_by_side}, from a short "
        "calibration: spectra are counted as if none converged early, and the compilation of "
        f"their programs is not; {size(free_memory())} of memory are free"
    )
