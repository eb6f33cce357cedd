"""The commands that train nothing: `report`, `show` and `envs`."""

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


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--full", "everything", is_flag=True, help="Every answer and every table.")
@click.option("--json", "machine", is_flag=True, help="The findings as one JSON object.")
def show(directory: Path, everything: bool, machine: bool) -> None:
    """Print what the run or the study in DIRECTORY found, on one screen."""
    from hessdiag.analysis import findings
    from hessdiag.report.terminal import as_json, full

    from .words import summary

    outcome = findings(directory)
    click.echo(as_json(outcome) if machine else summary(outcome))
    if everything:
        click.echo("\n".join(full(outcome)))


@click.command()
def envs() -> None:
    """List the built-in problems with their settings and defaults."""
    import hessdiag

    # A file, for the problems themselves would take seconds to import.
    listed = Path(hessdiag.__file__).parent / "problems" / "list.txt"
    click.echo(listed.read_text(encoding="utf-8").rstrip())
