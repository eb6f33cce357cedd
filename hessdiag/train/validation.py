"""Settings are validated once, at the edge: messages name the flag, the value, what is allowed."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.inner import CUTS, constants_of
from hessdiag.meta import ESTIMATORS
from hessdiag.probes.inner_loop import ALL_OPERATORS
from hessdiag.problems.base import Learning
from hessdiag.problems.scalars import TRANSFORMS
from hessdiag.train.settings import (
    ProbeSettings,
    Settings,
    TrainSettings,
    constants,
    flag_of,
    flatten,
    measured_horizon,
)

_AT_LEAST = {
    "n": 0,
    "monte_carlo": 1,
    "target_updates": 1,
    "stable_matvecs": 2,
    "seed": 0,
    "train.iterations": 1,
    "train.checkpoint_minutes": 0,
    "probe.n": 0,
    "probe.points": 0,
    "probe.nested": 0,
    "probe.samples": 2,
    "probe.chunk": 1,
    "probe.unrolls": 1,
    "probe.operator_unrolls": 0,
    "probe.departure_probes": 2,
    "probe.starts": 1,
    "probe.min_matvecs": 0,
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
_ABOVE_ZERO = (
    "perturbation",
    "learning.learning_rate",
    "learning.meta_learning_rate",
    "probe.tolerance",
)
_ONE_OF = {
    "estimator": tuple(ESTIMATORS),
    "learning.keep": ("0", "1", "n"),
    "paths": tuple(CUTS),
    "learning.schedule": ("constant", "linear"),
    "learning.transform": (None, *TRANSFORMS),
}
_INSIDE_UNIT = ("probe.confidence",)


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
        probe=_named_out(ProbeSettings(**_typed("probe.", ProbeSettings, tables["probe"]))),
    )
    _check_ranges(settings)
    return settings


def _named_out(probe: ProbeSettings) -> ProbeSettings:
    """With "all" counterfactuals as their names."""
    if probe.counterfactuals != ("all",):
        return probe
    return dataclasses.replace(probe, counterfactuals=tuple(CUTS)[1:])


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
        wanted = _WANTED.get(kind) or getattr(kind, "__name__", str(kind))
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


def _pair(value: Any) -> tuple[float, float]:
    low, high = value
    return _number(low), _number(high)


def _integers(value: Any) -> tuple[int, ...]:
    """Integers from a list, from one text with commas, or a single one."""
    if isinstance(value, str):
        return tuple(int(word) for word in value.split(","))
    if isinstance(value, int):
        return (_integer(value),)
    return tuple(_integer(entry) for entry in value)


def _words(value: Any) -> tuple[str, ...]:
    """Words from a list, or from one text with commas; "none" is none of them."""
    entries = value.split(",") if isinstance(value, str) else value
    words = tuple(_text(entry).strip() for entry in entries)
    return () if words == ("none",) else words


_CASTS = {
    int: _integer,
    float: _number,
    bool: _boolean,
    str: _text,
    float | None: lambda value: None if value is None else _number(value),
    str | None: lambda value: None if value is None else _text(value),
    tuple[int, ...]: lambda value: _integers(value),
    tuple[float, float]: lambda value: _pair(value),
    tuple[str, ...]: lambda value: _words(value),
}


_WANTED = {tuple[int, ...]: "integers with commas between"}


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
    constants_of(settings.learning.optimiser, **constants(settings.learning))
    if settings.kappa is not None and not 0 <= settings.kappa <= 1:
        refuse("kappa", "0 to 1")
    if settings.estimator != "n-step" and settings.n == 0:
        refuse("n", f"1 or more with --estimator {settings.estimator}")
    if not 0 <= settings.trace_decay <= 1:
        refuse("trace_decay", "0 to 1")
    if settings.estimator == "trace" and settings.paths != "full":
        refuse("paths", "full with --estimator trace")
    low, high = settings.stable_interval
    if not low < high:
        refuse("stable_interval", "two numbers, the lower one first")
    longest = measured_horizon(settings)
    if any(not 1 <= horizon <= longest for horizon in settings.probe.horizons):
        refuse("probe.horizons", f"1 to {longest}")
    if settings.probe.horizons and not {1, longest} <= set(settings.probe.horizons):
        refuse("probe.horizons", f"1, the base of every ratio, {longest}, and others between")
    if settings.probe.nested == 1 or settings.probe.nested > settings.probe.samples:
        refuse("probe.nested", f"0, or 2 to {settings.probe.samples} (the samples)")
    _check_names(settings.probe.counterfactuals, "probe.counterfactuals", list(CUTS)[1:])
    if any(not 0 <= at < settings.train.iterations for at in settings.probe.at):
        refuse("probe.at", f"0 to {settings.train.iterations - 1}")
    _check_names(settings.probe.operators, "probe.operators", ALL_OPERATORS)
    if settings.probe.unrolls > settings.probe.samples:
        refuse("probe.unrolls", f"{settings.probe.samples} (the samples) or fewer")
    if settings.probe.operator_unrolls > settings.probe.unrolls:
        refuse("probe.operator_unrolls", f"{settings.probe.unrolls} (the unrolls) or fewer")
    if settings.probe.min_matvecs > settings.probe.max_matvecs:
        refuse("probe.min_matvecs", f"{settings.probe.max_matvecs} (probe.max_matvecs) or fewer")


def _check_names(names: Sequence[str], key: str, known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            allowed = f"{', '.join(known)} with commas between, or none"
            raise UsageError(f"{flag_of(key)}: {name!r} is not allowed; allowed: {allowed}")
