"""The settings of a run: frozen and complete."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hessdiag.inner import FULL, STABLE
from hessdiag.probes.settings import ProbeSettings
from hessdiag.problems.base import Learning


@dataclass(frozen=True)
class TrainSettings:
    """How long training lasts and how often it saves.

    Attributes:
        iterations: training iterations; the linear schedule anneals over them.
        checkpoint_minutes: minutes between checkpoints, besides one at every probe.
    """

    iterations: int = 200
    checkpoint_minutes: float = 3.0


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on.

    Attributes:
        env: problem, a built-in name or ``module:factory``.
        n: inner updates per meta-gradient; 0 leaves the hyper-parameters fixed.
        estimator: "n-step", "mix", or "trace", the n-step one with an accumulative trace.
        kappa: mixing factor κ of "mix"; None means 1 − 1/n.
        trace_decay: μ of the accumulative trace, in training and as a counterfactual.
        paths: "full", or the counterfactual that training's meta-gradients follow.
        stable_interval: where the counterfactual "stable-hessian" keeps eigenvalues of H = −α∇²L,
            in training and in probes; |1 + eigenvalue| ≤ 1 by default.
        stable_matvecs: Hessian-vector products per inner step that it finds the others with.
        target_updates: updates that make the target of a bootstrapped meta-gradient.
        perturbation: σ, what evolution strategies add to η, a standard deviation.
        monte_carlo: meta-gradients averaged per training iteration.
        remat: recompute inner steps in the reverse sweep, to save memory.
        seed: seed of everything random.
        preset: where the other defaults came from.
        problem: settings of the problem.
        learning: optimisers and rates.
        train: length of training.
        probe: measurements.
    """

    env: str = "snake"
    n: int = 5
    estimator: str = "n-step"
    kappa: float | None = None
    trace_decay: float = 0.9
    paths: str = "full"
    stable_interval: tuple[float, float] = STABLE
    stable_matvecs: int = FULL.matvecs
    target_updates: int = 1
    perturbation: float = 0.1
    monte_carlo: int = 1
    remat: bool = True
    seed: int = 0
    preset: str = "laptop"
    problem: Mapping[str, Any] = field(default_factory=dict)
    learning: Learning = field(default_factory=Learning)
    train: TrainSettings = field(default_factory=TrainSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)


FLAGS = {
    "problem.batch_size": "--batch-size",
    "problem.rollout_length": "--rollout-length",
    "learning.learning_rate": "--learning-rate",
    "learning.meta_learning_rate": "--meta-learning-rate",
    "train.iterations": "--iterations",
    "probe.points": "--probes",
    "probe.samples": "--samples (K)",
    "probe.chunk": "--chunk",
    "probe.operators": "--operators",
    "probe.counterfactuals": "--counterfactuals",
    "probe.nested": "--nested",
    "probe.n": "--probe-n",
    "probe.products": "--products",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in ("env", "n", "estimator", "kappa", "trace_decay", "paths", "seed", "preset")
    },
    "monte_carlo": "--monte-carlo",
}


def flag_of(key: str) -> str:
    """How the person who set `key` knows it: its flag, or its name in a TOML file."""
    return FLAGS.get(key, key)


def dotted(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with tables one level deep as a flat one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": setting for inner, setting in value.items()}
        else:
            flat[key] = value
    return flat


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
