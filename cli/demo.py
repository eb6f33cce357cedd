"""`hessdiag demo`: what a report looks like, in under a minute."""

import shlex
import sys
from pathlib import Path

import click

SETTINGS = {
    "env": "mrp",
    "n": 5,
    "preset": "smoke",
    "probe.counterfactuals": ["no-hessian", "no-memory"],
}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to make.")
def demo(out: Path | None) -> None:
    """Make a report of a small problem, in under a minute."""
    from .drive import drive_run

    command = shlex.join(["hessdiag", *sys.argv[1:]])
    drive_run(SETTINGS, None, out, None, command=command, quiet=False, as_json=False)
