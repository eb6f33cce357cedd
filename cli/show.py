"""`hessdiag show`: the summary of a run in the terminal."""

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def show(directory: Path) -> None:
    """Print what the run in DIRECTORY found."""
    from rich.console import Console

    from .summary_table import summary_table

    Console(soft_wrap=False).print(summary_table(directory))
