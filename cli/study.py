"""`hessdiag study`: a grid of runs."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hessdiag.errors import UsageError
from hessdiag.train.settings import DECLARED

from .run import CODE, DEVICES, LOG
from .setting_options import assignment, given, setting_options
from .workers import DASK, LOCAL, Workers

if TYPE_CHECKING:
    from hessdiag.record.study_directory import StudyDirectory

COMMON = [DECLARED[key] for key in ("env", "preset", "precision")]
VARIED = [DECLARED[key] for key in ("n", "estimator", "learning.optimiser", "seed")]

_KEEPS = (
    "--resume: a resumed study keeps its grid; allowed beside it: --together, --devices, "
    "--executor, --workers, --scheduler, --log, --dry-run, --quiet, "
    "and --env, --optimiser or --set probe.explanations= of your own, to be imported"
)


@click.command()
@click.argument("name", required=False)
@setting_options(COMMON)
@setting_options(VARIED, several=True)
@click.option("--config", type=click.Path(path_type=Path), help="TOML: settings, and [vary].")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Of all cells.")
@click.option("--vary", multiple=True, metavar="KEY=V1,V2", help="Any other setting.")
@click.option("--out", type=click.Path(path_type=Path), help="Study directory to make.")
@click.option("--resume", type=click.Path(path_type=Path), help="Study directory to go on with.")
@click.option(
    "--executor",
    type=click.Choice([LOCAL, DASK]),
    default=LOCAL,
    help="Where cells run: in processes here, or on Dask workers.  [local]",
)
@click.option(
    "--workers",
    type=int,
    help="Processes here that run cells.  [one per core; dask: one per two cores]",
)
@click.option("--scheduler", metavar="ADDRESS", help="Dask: tcp://HOST:PORT of one that runs.")
@click.option(
    "--together",
    type=int,
    help="Seeds that train as one program, at the most.  [8, or fewer for more processes]",
)
@DEVICES
@LOG
@click.option("--dry-run", is_flag=True, help="Print the cells, with time and memory; run none.")
@click.option("--quiet", is_flag=True, help="Print nothing but the study's path.")
def study(
    name: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    vary: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    executor: str,
    workers: int | None,
    scheduler: str | None,
    together: int | None,
    devices: int | None,
    trackers: tuple[str, ...],
    dry_run: bool,
    quiet: bool,
    **values: Any,
) -> int:
    """Run every combination of some settings, each as a run of its own.

    NAME is a study that comes with the tool, which flags change: mechanism (what makes
    meta-gradients noisy), table1, fig3, fig4 or fig5 of Bonnet et al. 2021, mechanism-6x6,
    mechanism-12x12, table1-6x6 or remedies-6x6, whole trainings, outer-critic,
    outer-critic-normalised or outer-critic-snake of Bonnet et al. 2022, minatar, AD against LVC in
    three games, or across, every system side by side.

    Studies of bias train nothing, and take --set alone: lsf, estimates of the meta-RL gradient with
    score terms and without, gmrl-bias, biases of MAML-RL in tabular processes, lirpg, those of
    intrinsic rewards, or lola, those of two players in the iterated prisoner's dilemma.

    Options that take V1,V2 and --vary are varied: values with commas between, integers also as a:b.

    A cell that fails does not stop the rest; Ctrl-C saves, and --resume goes on without repeating
    finished cells. A TOML file holds settings as for `hessdiag run`, a table [vary] of lists, and
    a table [where] of settings of some cells.
    """
    common, varied = _given(values, assignments, vary)
    given_code = {**common, **varied}
    if resume is not None and (config or out or name or set(given_code) - {"env", *CODE}):
        raise UsageError(_KEEPS)

    where = Workers(executor, workers, scheduler, together, devices)
    where.require_sense(trackers)
    if _is_of_bias(name, resume):
        from .drive_bias import drive_bias, refuse_others

        others = {"--config": config, "--vary": vary, "--log": trackers}
        refuse_others(others | where._replace(number=None).flags() | _typed(values))
        return drive_bias(name, resume, out, common, where, dry_run=dry_run, quiet=quiet)

    from hessdiag.study.grid import Grid, planned

    from .drive import drive_study

    directory = _reopened(resume, given_code) if resume is not None else None
    return drive_study(
        Grid(*directory.plan) if directory else planned(name, config, common, varied),
        directory,
        name or "study",
        out,
        command=shlex.join(["hessdiag", *sys.argv[1:]]),
        workers=where,
        trackers=trackers,
        dry_run=dry_run,
        quiet=quiet,
    )


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """What was typed, by its flag."""
    typed = given([*COMMON, *VARIED], values)
    return {DECLARED[key].flag: value for key, value in typed.items()}


def _reopened(path: Path, given_code: dict[str, Any]) -> "StudyDirectory":
    """The study to go on with; code that it names is imported where it was given again."""
    from hessdiag.record.study_directory import StudyDirectory
    from hessdiag.train.launch import require_trusted

    directory = StudyDirectory.open(path)
    fixed, lists = directory.plan
    require_trusted({**fixed, **lists}, given_code, path)
    return directory


def _is_of_bias(name: str | None, resume: Path | None) -> bool:
    """Whether a study is of bias, and not of trainings; a name that no study has is refused."""
    from hessdiag.bias.plan import BIAS_STUDIES
    from hessdiag.record.sweep_directory import SweepDirectory
    from hessdiag.study.grid import STUDIES

    if name is not None and name not in (*STUDIES, *BIAS_STUDIES):
        allowed = ", ".join((*STUDIES, *BIAS_STUDIES))
        raise UsageError(f"study {name!r} is unknown; allowed: {allowed}")
    return name in BIAS_STUDIES or (resume is not None and SweepDirectory.is_one(resume))


def _given(values: dict[str, Any], assignments, vary) -> tuple[dict[str, Any], dict[str, list]]:
    """What flags fix and what they vary, by dotted key."""
    common = given(COMMON, values) | dict(assignment(text, "--set") for text in assignments)
    varied = {key: _list(text, DECLARED[key].flag) for key, text in given(VARIED, values).items()}
    for text in vary:
        key, equals, words = text.partition("=")
        if not equals or not words:
            raise UsageError(f"--vary: {text!r} is not allowed; allowed: KEY=V1,V2")
        if key in varied:
            raise UsageError(f"--vary: {key} is given twice; allowed: once")
        varied[key] = _list(words, "--vary")
    return common, varied


def _range(first: int, end: int, text: str, flag: str) -> range:
    """Integers, where there are not too many."""
    from hessdiag.study.grid import MOST_CELLS

    if end - first > MOST_CELLS:
        raise UsageError(
            f"{flag}: {text!r} is not allowed; allowed: {MOST_CELLS:,} values or fewer"
        )
    return range(first, end)


def _list(text: str, flag: str) -> list[Any]:
    """Values between commas, each as in TOML; a:b are the integers from a to below b."""
    values: list[Any] = []
    for word in text.split(","):
        if not word.strip():
            raise UsageError(f"{flag}: {text!r} is not allowed; allowed: values between commas")
        if ends := re.fullmatch(r"\s*(-?\d+):(-?\d+)\s*", word):
            values += _range(int(ends[1]), int(ends[2]), text, flag)
        else:
            values.append(assignment(f"value={word.strip()}", flag)[1])
    return values
