"""The commands that train nothing: `report`, `show` and `envs`."""

from pathlib import Path
from typing import Any

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
    import dataclasses

    from hessdiag import problems

    for name in problems.BUILT_IN:
        problem = problems.make(name, {})
        click.echo(f"{name}: {problem.about.summary}")
        for key, default in problems.settings_of(name).items():
            click.echo(f"    problem.{key} = {default!r}")
        for key, default in dataclasses.asdict(problem.learning).items():
            click.echo(f"    learning.{key} = {default!r}")
        click.echo(f"    meta-parameters: {_starts(problem)}")
    for library in problems.LIBRARIES:
        click.echo(f"{library}:NAME: A2C in an environment of {library}, such as Snake's")
    click.echo("your own: hessdiag run --env module:factory")


def _starts(problem: Any) -> str:
    """Names and first values of meta-parameters, or of how many there are too many to read."""
    import jax

    from hessdiag.meta.system import named_entries

    parameters = getattr(problem, "meta_parameters", None)
    if parameters is not None:
        named = {parameter.name: parameter.start for parameter in parameters}
    else:
        eta = problem.init_eta(jax.random.key(0))
        named = named_entries(eta)
        if not named:
            return f"{sum(leaf.size for leaf in jax.tree.leaves(eta))}, in tables"
    return ", ".join(f"{name} = {value:g}" for name, value in named.items())
