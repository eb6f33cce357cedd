"""Where a run comes from: a new directory with its complete config, or one to go on with."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from hessdiag.devices import ONE, Devices
from hessdiag.errors import UsageError
from hessdiag.meta import System, streams
from hessdiag.meta.system import shown
from hessdiag.problems import BUILT_IN, is_own
from hessdiag.record.documents import damaged, dotted
from hessdiag.record.lock import locked
from hessdiag.record.provenance import provenance, with_resumption
from hessdiag.record.run_directory import RunDirectory
from hessdiag.train.learner import Learner
from hessdiag.train.memory import sizes_of
from hessdiag.train.presets import from_flat
from hessdiag.train.problem_check import require_sound_problem
from hessdiag.train.self_test import require_sound_compiler
from hessdiag.train.settings import DECLARED, Settings

OUR_CHOICES = (
    "Training continues from the environments' state after the first rollout of an unroll; the "
    "rollouts looked ahead are discarded with the parameters they led to.",
    "Every i-step meta-gradient is validated on a fresh rollout from θ^(i), independent of the "
    "trajectories that the inner updates learn from.",
    "The learning-rate schedule goes on through an unroll: inner step j at iteration t uses "
    "α_{t+j}.",
    "Meta-gradients and their standard deviations are with respect to the unconstrained η.",
    "E2 takes the products over the last inner steps of the longest unroll for those of shorter "
    "ones, which end earlier.",
    "Probes are spaced evenly inside training; the last iterations are left out, because the "
    "annealed learning rate makes every meta-gradient vanish there.",
)


def start(
    settings: Settings,
    path: Path,
    *,
    command: str,
    check_problem: bool = True,
    devices: Devices = ONE,
) -> RunDirectory:
    """Make the directory of a new run at `path`; `command` is what the user typed.

    Provenance notes how many devices are to share it.

    Raises:
        UsageError: it exists or cannot be written; or the problem is checked, the user's own, and
            not deterministic.
    """
    learner = Learner(settings)
    if check_problem and settings.env not in BUILT_IN:
        require_sound_problem(learner.system, settings.env)
    about = learner.problem.about
    config = {
        "settings": dataclasses.asdict(settings),
        "provenance": provenance(
            command,
            compiler_self_test=require_sound_compiler(),
            devices=devices.number,
            precision=settings.precision,
        ),
        "meta_parameters": _meta_parameters(learner.system),
        "problem": {
            "description": about.summary,
            "headline": about.headline,
            "followed": [*about.followed],
            "parameters": sizes_of(settings).size,
        },
        "our_choices": [*about.choices, *OUR_CHOICES],
    }
    return RunDirectory.create(path, config)


def _meta_parameters(system: System) -> list[dict[str, Any]]:
    """Names, start values and transforms of the entries of η, where these are few."""
    parameters = getattr(system.problem, "meta_parameters", None)
    if parameters is not None:
        keys = ("name", "start", "transform", "group", "between")
        return [{key: getattr(parameter, key) for key in keys} for parameter in parameters]
    eta = system.init_eta(streams.initial_eta(jax.random.key(0)))
    return [
        {"name": name, "start": float(value), "transform": "identity", "group": None}
        for name, value in zip(shown(system.names), eta, strict=False)
    ]


IMPORTED = ("env", "learning.optimiser", "probe.explanations")
"""Settings that may name somebody's own code."""


def reopen(
    path: Path,
    *,
    command: str,
    trusted: Mapping[str, Any] | None = None,
    devices: Devices = ONE,
) -> tuple[Settings, RunDirectory]:
    """The settings and the directory of a run to go on with; its config keeps note of `command`.

    Code of one's own that the settings name is imported only if `trusted` names it, too: a
    directory may come from anywhere. None trusts them all.

    Raises:
        UsageError: no run directory, a damaged one, one of a newer format, in use, or with other
            code than is trusted.
    """
    directory = RunDirectory.open(path)
    config = directory.config()
    if config.get("own_loop"):
        raise UsageError(
            f"--resume: {path} is of a training loop of your own; allowed: runs of `hessdiag run`, "
            "and `probe.record` in the loop itself"
        )
    stored = config.get("settings")
    if not isinstance(stored, Mapping):
        raise damaged(path / "config.json", "it has no settings")
    if trusted is not None:
        require_trusted(dotted(stored), trusted, path)
    try:
        settings = from_flat(dotted(stored))
    except UsageError as error:
        raise damaged(path / "config.json", error) from error
    if directory.summary().get("status") != "finished":
        how = {"devices": devices.number, "precision": settings.precision}
        with locked(path):
            directory.write_json("config.json", with_resumption(config, command, **how))
    return settings, directory


def require_trusted(settings: Mapping[str, Any], trusted: Mapping[str, Any], path: Path) -> None:
    """Refuse settings that name code of one's own which a command line does not name.

    Raises:
        UsageError: there is such code; the message says how to trust it.
    """
    named = {name for value in trusted.values() for name in _names(value)}
    own = {name for key in IMPORTED for name in _names(settings.get(key)) if is_own(name)}
    if not own <= named:
        raise UsageError(
            f"--resume: {path} names code to be imported; allowed, where you trust it: to name it "
            f"beside: {shlex.join(naming(settings))}"
        )


def naming(settings: Mapping[str, Any]) -> list[str]:
    """The flags that name the code of one's own that settings name."""
    flags = []
    for key in IMPORTED:
        own = ",".join(name for name in _names(settings.get(key)) if is_own(name))
        if own:
            flag = DECLARED[key].flag
            flags += [flag, own] if flag else ["--set", f"{key}={own}"]
    return flags


def _names(value: Any) -> list[str]:
    return [str(name) for name in (value if isinstance(value, list | tuple) else (value,)) if name]
