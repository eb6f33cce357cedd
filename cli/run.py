"""`hessdiag run`: train by meta-gradients, probe, report."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from hessdiag.errors import UsageError
from hessdiag.train.settings import DECLARED, PROBLEM_FLAGS

from .setting_options import assignment, given, setting_options

CODE = ("learning.optimiser", "probe.explanations")  # may be somebody's own, as the problem
FLAGGED = [*(setting for setting in DECLARED.values() if setting.flag), *PROBLEM_FLAGS]
LOG = click.option(
    "--log",
    "trackers",
    multiple=True,
    type=click.Choice(["csv", "tensorboard", "wandb", "trackio"]),
    help="Where numbers go besides; may be repeated.",
)

DEVICES = click.option("--devices", type=int, help="Devices that share the work.  [all]")


@click.command()
@setting_options(FLAGGED)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any other setting.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to make.")
@click.option("--resume", type=click.Path(path_type=Path), help="Run directory to go on with.")
@DEVICES
@LOG
@click.option("--dry-run", is_flag=True, help="Print what it takes, in time and memory; run none.")
@click.option("--quiet", is_flag=True, help="Print nothing but the report's path.")
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON.")
def run(
    config: Path | None,
    assignments: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    devices: int | None,
    trackers: tuple[str, ...],
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Train an agent by n-step meta-gradients, probe spectra and variance, write a report.

    Settings: flag over --config file over preset. A run directory is made under ./reports, or
    at --out; Ctrl-C saves, and --resume goes on where it stopped.
    """
    flags = given(FLAGGED, values)
    if "problem.rows" in flags:
        flags["problem.cols"] = flags["problem.rows"]
    for key, value in (assignment(text, "--set") for text in assignments):
        if key in flags:
            raise UsageError(f"--set: {key} is given twice; allowed: once, here or by its flag")
        flags[key] = value
    trusted = {key: value for key, value in flags.items() if key in ("env", *CODE)}
    beside = [
        *(set(flags) - set(trusted)),
        *(["--config"] if config else []),
        *(["--out"] if out else []),
        *(["--dry-run"] if dry_run else []),
    ]
    if resume is not None and beside:
        raise UsageError(
            f"--resume: cannot be combined with {', '.join(beside)}; a resumed run keeps its "
            "settings (allowed beside it: --devices, --log, --quiet, --json, and --env, "
            "--optimiser or --set probe.explanations= of your own, to be imported)"
        )

    from .drive import drive_run

    command = shlex.join(["hessdiag", *sys.argv[1:]])
    drive_run(
        flags,
        config,
        out,
        resume,
        command=command,
        devices=devices,
        trackers=trackers,
        dry_run=dry_run,
        quiet=quiet,
        as_json=as_json,
    )
