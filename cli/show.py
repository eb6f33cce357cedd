"""`hessdiag show`: the summary of a run or of a study in the terminal."""

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def show(directory: Path) -> None:
    """Print what the run or the study in DIRECTORY found."""
    from rich.console import Console

    if (directory / "study.json").is_file():
        from .study_summary import study_summary as summary
    else:
        from .summary_table import summary_table as summary

    Console(soft_wrap=False).print(summary(directory))
