"""`hessdiag show`: the first screen of a run or of a study in the terminal."""

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--full", "everything", is_flag=True, help="Every answer and every table.")
@click.option("--json", "machine", is_flag=True, help="The findings as one JSON object.")
def show(directory: Path, everything: bool, machine: bool) -> None:
    """Print what the run or the study in DIRECTORY found, on one screen."""
    from hessdiag.analysis import findings
    from hessdiag.report.terminal import as_json, full

    from .summary import summary

    found = findings(directory)
    click.echo(as_json(found) if machine else summary(found))
    if everything:
        click.echo("\n".join(full(found)))
