"""The settings of a run: frozen and complete. Importing them imports no JAX."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hessdiag.declared import Setting, names_in, setting, settings_of
from hessdiag.learning import Learning
from hessdiag.probes.settings import ProbeSettings
from hessdiag.record.documents import dotted

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "smoke": {"train.iterations": 40, "probe.points": 3, "probe.samples": 8},
    "laptop": {},
    "paper": {
        "train.iterations": 100_000,
        "probe.points": 300,
        "probe.samples": 96,
        "probe.chunk": 4,
        "probe.max_matvecs": 80,
    },
}


@dataclass(frozen=True)
class TrainSettings:
    """How long training lasts and how often it saves."""

    iterations: int = setting(200, "training iterations", "--iterations", least=1)
    rollouts: int = setting(
        0,
        "rollouts to train with: as many iterations as they allow; 0: iterations say it",
        "--rollouts",
        least=0,
    )
    stride: int = setting(
        1,
        "iterations per call of the compiled program, which writes one line: of its last one",
        "--stride",
        least=1,
    )
    checkpoint_minutes: float = setting(3.0, "minutes between checkpoints", least=0)


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on; `problem` holds the settings of the problem."""

    env: str = setting(
        "snake", "problem: see `hessdiag envs`, or module:factory of your own", "--env"
    )
    n: int = setting(5, "inner updates per meta-gradient; 0 fixes η", "--n", least=0, most=10_000)
    estimator: str = setting(
        "n-step",
        "of the meta-gradient: n-step, mix, trace, …",
        "--estimator",
        choices=names_in("hessdiag.meta", "ESTIMATORS"),
    )
    kappa: float | None = setting(
        None, "mixing factor of mix; 1 - 1/n if not given", "--kappa", least=0, most=1
    )
    trace_decay: float = setting(
        0.9, "decay μ of an accumulative trace", "--trace-decay", least=0, most=1
    )
    paths: str = setting(
        "full",
        "what training's meta-gradients follow: full, or a cut",
        "--paths",
        choices=names_in("hessdiag.inner", "CUTS"),
    )
    stable_interval: tuple[float, float] = setting(
        (-2.0, 0.0), "where the cut stable-hessian keeps eigenvalues of H"
    )
    stable_matvecs: int = setting(16, "products per inner step to find the others with", least=2)
    target_updates: int = setting(1, "updates behind a bootstrapped target", least=0)
    perturbation: float = setting(0.1, "σ of what evolution strategies add to η", above=0)
    monte_carlo: int = setting(1, "meta-gradients averaged per iteration", "--monte-carlo", least=1)
    validations: int = setting(
        1, "validation rollouts averaged per meta-gradient", "--validations", least=1
    )
    remat: bool = setting(True, "recompute inner steps to save memory", "--remat/--no-remat")
    precision: str = setting(
        "float32",
        "of matrix products in training and probes, on accelerators",
        "--precision",
        choices=names_in("hessdiag.inner.precision", "PRECISIONS"),
    )
    variant: str = setting("", "what this run is called among others; changes nothing", "--variant")
    seed: int = setting(0, "seed of everything random", "--seed", least=0, most=2**32 - 1)
    preset: str = setting(
        "laptop",
        "other defaults: smoke (a minute), laptop, or paper (table 2)",
        "--preset",
        choices=lambda: PRESETS,
    )
    problem: Mapping[str, Any] = field(default_factory=dict)
    learning: Learning = field(default_factory=Learning)
    train: TrainSettings = field(default_factory=TrainSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)


DECLARED = settings_of(Settings)
"""Every setting of a run but those of its problem, by dotted key."""

PROBLEM_FLAGS = tuple(
    Setting(None, help, flag, key=key, kind=int)
    for key, help, flag in (
        ("problem.batch_size", "environments or episodes in parallel", "--batch-size"),
        ("problem.rollout_length", "steps per inner update", "--rollout-length"),
        ("problem.rows", "rows and columns of a board", "--board-size"),
    )
)
"""Settings of problems that have a flag; each problem says what it allows."""


def flatten(settings: Settings) -> dict[str, Any]:
    """Settings by dotted key."""
    return dotted(dataclasses.asdict(settings))


def constants(learning: Learning) -> dict[str, float | None]:
    """What is set of the inner optimiser's own constants."""
    return {"b1": learning.b1, "b2": learning.b2, "eps": learning.eps}


def measured_horizon(settings: Settings) -> int:
    """The longest horizon that probes measure."""
    return settings.probe.n or settings.n


def probe_iterations(settings: Settings) -> tuple[int, ...]:
    """The iterations before which a probe is made: evenly spaced inside training, or `probe.at`."""
    if settings.probe.at:
        return settings.probe.at
    iterations, points = settings.train.iterations, settings.probe.points
    return tuple(sorted({round(iterations * (k + 1) / (points + 1)) for k in range(points)}))


def end_of_call(settings: Settings, iteration: int) -> int:
    """The iteration before which the call ends that begins before `iteration`.

    Calls end before multiples of the stride, at probes and with training: where they end does not
    depend on where a run was killed.
    """
    stride = settings.train.stride
    probes = (due for due in probe_iterations(settings) if due > iteration)
    ends = (iteration + stride - iteration % stride, settings.train.iterations, *probes)
    return min(ends)
