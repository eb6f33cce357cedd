"""`hessdiag compare`: runs and studies side by side."""

import shlex
import sys
from pathlib import Path

import click

from hessdiag.errors import UsageError


@click.command()
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to make a page of it, too.")
def compare(directories: tuple[Path, ...], out: Path | None) -> None:
    """Lay the runs and studies in DIRECTORIES side by side.

    Prints what each of them found, and in which settings they differ.
    """
    from hessdiag.analysis import side_by_side
    from hessdiag.report.tables import differences
    from hessdiag.report.terminal import aligned

    from .words import summary

    if out is not None and any((out / name).exists() for name in ("config.json", "study.json")):
        raise UsageError(f"--out: {out} is a run or a study; allowed: a folder for the page")
    command = shlex.join(["hessdiag", *sys.argv[1:]])
    outcome = side_by_side(directories, command=command)
    click.echo(summary(outcome))
    if (table := differences(outcome)) is not None:
        click.echo("\n".join(["", table.title, *aligned(table)]))
    if out is not None:
        from hessdiag.report.write import write_page

        out.mkdir(parents=True, exist_ok=True)
        click.echo(f"page: {write_page(outcome, out)}")
