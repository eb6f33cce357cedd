"""`hessdiag run`: train by meta-gradients, probe, report."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from hessdiag.errors import UsageError

from .assignments import assignment

SETTINGS = {  # parameter name → dotted key
    "env": "env",
    "n": "n",
    "estimator": "estimator",
    "kappa": "kappa",
    "trace_decay": "trace_decay",
    "paths": "paths",
    "monte_carlo": "monte_carlo",
    "remat": "remat",
    "seed": "seed",
    "preset": "preset",
    "batch_size": "problem.batch_size",
    "rollout_length": "problem.rollout_length",
    "learning_rate": "learning.learning_rate",
    "meta_learning_rate": "learning.meta_learning_rate",
    "iterations": "train.iterations",
    "probes": "probe.points",
    "samples": "probe.samples",
    "chunk": "probe.chunk",
    "operators": "probe.operators",
    "products": "probe.products",
    "probe_n": "probe.n",
    "counterfactuals": "probe.counterfactuals",
    "nested": "probe.nested",
}


_CUTS = "no-hessian,no-memory,neither,trace,stable-hessian,as-sgd"


@click.command()
@click.option("--env", help="Problem: snake, mrp, or module:factory of your own.  [snake]")
@click.option("--n", type=int, help="Inner updates per meta-gradient; 0: fixed.  [5]")
@click.option("--estimator", help="n-step, mix or trace.  [n-step]")
@click.option("--kappa", type=float, help="Mixing factor of mix.  [1 - 1/n]")
@click.option("--trace-decay", type=float, help="μ of the accumulative trace.  [0.9]")
@click.option("--paths", help="A counterfactual to train with, such as no-memory.  [full]")
@click.option("--monte-carlo", type=int, help="Meta-gradients averaged per iteration.  [1]")
@click.option("--remat/--no-remat", default=None, help="Recompute inner steps to save memory.")
@click.option("--seed", type=int, help="Seed of everything random.  [0]")
@click.option("--preset", help="smoke (a minute), laptop, or paper (Table 2).  [laptop]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file of settings.")
@click.option("--board-size", type=int, help="Rows and columns of a board.")
@click.option("--batch-size", type=int, help="Environments or episodes in parallel.")
@click.option("--rollout-length", type=int, help="Steps per environment and inner update.")
@click.option("--iterations", type=int, help="Training iterations.")
@click.option("--learning-rate", type=float, help="Inner learning rate at the start.")
@click.option("--meta-learning-rate", type=float, help="Learning rate of the meta-optimiser.")
@click.option("--probes", type=int, help="Number of probes during training.")
@click.option("--samples", "-K", type=int, help="Meta-gradients per probe.")
@click.option("--chunk", type=int, help="Meta-gradients computed at once: bounds memory.")
@click.option("--operators", help="Of preconditioned,update,augmented,semi-gradient; none.")
@click.option("--products/--no-products", default=None, help="Norms of products over inner steps.")
@click.option("--probe-n", type=int, help="Longest horizon measured.  [n]")
@click.option("--counterfactuals", help=f"Cuts to measure: of {_CUTS}; all; none.  [none]")
@click.option("--nested", type=int, help="Samples behind shares of the variance.  [0: none]")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any other setting.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to make.")
@click.option("--resume", type=click.Path(path_type=Path), help="Run directory to go on with.")
@click.option("--quiet", is_flag=True, help="Print nothing but the report's path.")
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON.")
def run(
    config: Path | None,
    board_size: int | None,
    assignments: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    quiet: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Train an agent by n-step meta-gradients, probe spectra and variance, write a report.

    Settings: flag over --config file over preset. A run directory is made under ./reports, or
    at --out; Ctrl-C saves, and --resume goes on where it stopped.
    """
    flags = {SETTINGS[name]: value for name, value in values.items() if value is not None}
    if board_size is not None:
        flags |= {"problem.rows": board_size, "problem.cols": board_size}
    for key, value in (assignment(text, "--set") for text in assignments):
        if key in flags:
            raise UsageError(f"--set: {key} is given twice; allowed: once, here or by its flag")
        flags[key] = value
    if resume is not None:
        _refuse_beside_resume(flags, config, out)

    from .drive import continue_run, new_run

    command = shlex.join(["hessdiag", *sys.argv[1:]])
    if resume is not None:
        return continue_run(resume, command=command, quiet=quiet, as_json=as_json)
    return new_run(flags, config, out, command=command, quiet=quiet, as_json=as_json)


def _refuse_beside_resume(flags: dict[str, Any], config: Path | None, out: Path | None) -> None:
    """A resumed run keeps its settings."""
    given = [*flags, *(["--config"] if config else []), *(["--out"] if out else [])]
    if given:
        raise UsageError(
            f"--resume: cannot be combined with {', '.join(given)}; a resumed run keeps its "
            "settings (allowed beside it: --quiet, --json)"
        )
