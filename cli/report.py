"""`hessdiag report`: make the report of a run directory again."""

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def report(directory: Path) -> None:
    """Make report.html and its figures again from the files in DIRECTORY."""
    from hessdiag.report import write_report

    click.echo(write_report(directory))
