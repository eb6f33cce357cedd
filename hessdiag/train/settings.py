"""The settings of a run: frozen and complete."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hessdiag.inner import FULL, STABLE
from hessdiag.probes.inner_loop import OPERATORS
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
class ProbeSettings:
    """What is measured, where, and how exactly.

    Attributes:
        points: number of probes, evenly spaced inside training; 0 for none.
        at: iterations to probe at, instead of `points`.
        n: the longest horizon measured; 0 for that of training.
        samples: K, independent meta-gradients per probe.
        chunk: meta-gradients computed at once, of samples, or of seeds that train together; bounds
            memory.
        unrolls: on how many of the K unrolls spectra are measured.
        operators: which operators besides the Hessian and I + H: preconditioned, update, augmented;
            semi-gradient where the problem has bootstrap targets.
        products: whether to measure the norms of the operators' products, too.
        operator_unrolls: on how many of these unrolls the operators and products are measured.
        departure_probes: random vectors behind each departure from normality.
        starts: random Lanczos start vectors per spectrum.
        min_matvecs: Hessian-vector products per start at the least: ends converge early, and the
            density wants more.
        max_matvecs: Hessian-vector products per start at the most.
        tolerance: residual at which both ends count as converged, relative to the norm.
        counterfactuals: which cuts to measure beside the full meta-gradient: no-hessian, no-memory,
            neither, trace, stable-hessian, as-sgd.
        horizons: at which horizons to measure them; none means all up to `n`.
        explanations: of the user's own, beside the built-in ones: ``module:function`` each, from
            `hessdiag.variance.Evidence` to an `Interval` or None.
        nested: samples behind the shares of the variance by source; 0 for none.
        resamples: bootstrap resamples behind every confidence interval.
        confidence: level of the confidence intervals.
    """

    points: int = 3
    at: tuple[int, ...] = ()
    n: int = 0
    samples: int = 16
    chunk: int = 1
    unrolls: int = 2
    operators: tuple[str, ...] = OPERATORS
    products: bool = True
    operator_unrolls: int = 1
    departure_probes: int = 4
    starts: int = 2
    min_matvecs: int = 0
    max_matvecs: int = 48
    tolerance: float = 1e-3
    counterfactuals: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    explanations: tuple[str, ...] = ()
    nested: int = 0
    resamples: int = 2000
    confidence: float = 0.95


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
