"""The settings of a run: frozen, complete, and validated once, at the edge."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hessdiag.errors import UsageError
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
        samples: K, independent meta-gradients per probe.
        chunk: how many of them are computed at once; bounds memory.
        unrolls: on how many of the K unrolls spectra are measured.
        starts: random Lanczos start vectors per spectrum.
        max_matvecs: Hessian-vector products per start at the most.
        tolerance: residual at which both ends count as converged, relative to the norm.
        resamples: bootstrap resamples behind every confidence interval.
        confidence: level of the confidence intervals.
    """

    points: int = 6
    at: tuple[int, ...] = ()
    samples: int = 16
    chunk: int = 1
    unrolls: int = 2
    starts: int = 2
    max_matvecs: int = 48
    tolerance: float = 1e-3
    resamples: int = 2000
    confidence: float = 0.95


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on.

    Attributes:
        env: problem, a built-in name or ``module:factory``.
        n: inner updates per meta-gradient; 0 leaves the hyper-parameters fixed.
        estimator: "n-step" or "mix".
        kappa: mixing factor κ of "mix"; None means 1 − 1/n.
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
    **{name: f"--{name.replace('_', '-')}" for name in ("env", "n", "estimator", "kappa", "seed")},
    "monte_carlo": "--monte-carlo",
    "preset": "--preset",
}

_AT_LEAST = {
    "n": 0,
    "monte_carlo": 1,
    "seed": 0,
    "train.iterations": 1,
    "train.checkpoint_minutes": 0,
    "probe.points": 0,
    "probe.samples": 2,
    "probe.chunk": 1,
    "probe.unrolls": 1,
    "probe.starts": 1,
    "probe.max_matvecs": 2,
    "probe.resamples": 100,
    "learning.clip_norm": 0,
    "learning.meta_clip_norm": 0,
    "problem.batch_size": 1,
    "problem.rollout_length": 1,
    "problem.time_limit": 1,
    "problem.maps": 1,
    "problem.torso": 1,
    "problem.head": 1,
    "problem.hidden": 1,
}
_ABOVE_ZERO = ("learning.learning_rate", "learning.meta_learning_rate", "probe.tolerance")
_ONE_OF = {
    "estimator": ("n-step", "mix"),
    "learning.schedule": ("constant", "linear"),
    "learning.transform": (None, "sigmoid", "identity"),
}
_INSIDE_UNIT = ("probe.confidence",)


def flag_of(key: str) -> str:
    """How the person who set `key` knows it: its flag, or its name in a TOML file."""
    return FLAGS.get(key, key)


def flatten(settings: Settings) -> dict[str, Any]:
    """Settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in dataclasses.asdict(settings).items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": setting for inner, setting in value.items()}
        else:
            flat[key] = value
    return flat


def from_flat(flat: Mapping[str, Any]) -> Settings:
    """Settings from dotted keys, validated.

    Raises:
        UsageError: an unknown key, a value of the wrong type or out of range.
    """
    tables: dict[str, dict[str, Any]] = {"problem": {}, "learning": {}, "train": {}, "probe": {}}
    top: dict[str, Any] = {}
    for key, value in flat.items():
        table, _, name = key.partition(".")
        if name and table in tables:
            tables[table][name] = value
        else:
            top[key] = value
    settings = Settings(
        **_typed("", Settings, top),
        problem=tables["problem"],
        learning=Learning(**_typed("learning.", Learning, tables["learning"])),
        train=TrainSettings(**_typed("train.", TrainSettings, tables["train"])),
        probe=ProbeSettings(**_typed("probe.", ProbeSettings, tables["probe"])),
    )
    _check_ranges(settings)
    return settings


def probe_iterations(settings: Settings) -> tuple[int, ...]:
    """The iterations before which a probe is made: evenly spaced inside training, or `probe.at`."""
    if settings.probe.at:
        return settings.probe.at
    iterations, points = settings.train.iterations, settings.probe.points
    return tuple(sorted({round(iterations * (k + 1) / (points + 1)) for k in range(points)}))


def _typed(prefix: str, cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, each of its field's type; integers pass where floats are wanted."""
    fields = {f.name: f.type for f in dataclasses.fields(cls)}
    plain = [name for name, kind in fields.items() if kind in _CASTS]
    typed = {}
    for name, value in values.items():
        if name not in plain:
            allowed = ", ".join(prefix + field for field in plain)
            raise UsageError(f"{prefix}{name}: no such setting; allowed: {allowed}")
        typed[name] = cast_to(fields[name], prefix + name, value)
    return typed


def cast_to(kind: Any, key: str, value: Any) -> Any:
    """The value as the type `kind`; other types than those of settings pass as they are.

    Raises:
        UsageError: it is of another type.
    """
    try:
        return _CASTS[kind](value) if kind in _CASTS else value
    except (TypeError, ValueError, OverflowError) as error:
        wanted = getattr(kind, "__name__", str(kind))
        raise UsageError(f"{flag_of(key)}: {value!r} is not allowed; allowed: {wanted}") from error


def _integer(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_CASTS = {
    int: _integer,
    float: _number,
    bool: _boolean,
    str: _text,
    float | None: lambda value: None if value is None else _number(value),
    str | None: lambda value: None if value is None else _text(value),
    tuple[int, ...]: lambda value: tuple(_integer(entry) for entry in value),
}


def _check_ranges(settings: Settings) -> None:
    flat = flatten(settings)

    def refuse(key: str, allowed: str):
        raise UsageError(f"{flag_of(key)}: {flat[key]!r} is not allowed; allowed: {allowed}")

    for key, least in _AT_LEAST.items():
        value = flat.get(key, least)
        if not isinstance(value, int | float) or value < least:
            refuse(key, f"{least} or more")
    for key in _ABOVE_ZERO:
        if flat[key] <= 0:
            refuse(key, "more than 0")
    for key in _INSIDE_UNIT:
        if not 0 < flat[key] < 1:
            refuse(key, "between 0 and 1")
    for key, choices in _ONE_OF.items():
        if flat[key] not in choices:
            refuse(key, ", ".join(choice for choice in choices if choice))
    if settings.kappa is not None and not 0 <= settings.kappa <= 1:
        refuse("kappa", "0 to 1")
    if settings.estimator == "mix" and settings.n == 0:
        refuse("n", "1 or more with --estimator mix")
    if any(not 0 <= at < settings.train.iterations for at in settings.probe.at):
        refuse("probe.at", f"0 to {settings.train.iterations - 1}")
    if settings.probe.unrolls > settings.probe.samples:
        refuse("probe.unrolls", f"{settings.probe.samples} (the samples) or fewer")
