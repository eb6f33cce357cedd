"""`hessdiag report`: make the report of a run or of a study again."""

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def report(directory: Path) -> None:
    """Make report.html and its figures again from the files in DIRECTORY, a run or a study.

    A study whose runs are no longer there is reported from the tables in its results.json.
    """
    from hessdiag.report import write_report

    click.echo(write_report(directory))
