"""What a study plans: the settings of each cell, from what is common and what is varied."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WHERE = "where."
"""Begins the settings of some cells: `where.estimator.mix.n` is n where the estimator is mix."""


def text(value: Any) -> str:
    """A value as names of cells have it."""
    if isinstance(value, list | tuple):
        return ",".join(map(text, value)) or "none"
    return str(value)


def name_of(varied: Mapping[str, Any]) -> str:
    """What a cell is called, such as "n=5 seed=1"."""
    return " ".join(f"{key.rpartition('.')[2]}={text(value)}" for key, value in varied.items())


def special(common: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for cells with these values alone."""
    starts = [f"{WHERE}{key}.{text(value)}." for key, value in values.items()]
    return {
        key.removeprefix(start): value
        for key, value in common.items()
        for start in starts
        if key.startswith(start)
    }


def planned_settings(common: Mapping[str, Any], varied: Mapping[str, Any]) -> dict[str, Any]:
    """What a study gives the cell with these values, by dotted key."""
    fixed = {key: value for key, value in common.items() if not key.startswith(WHERE)}
    return {**fixed, **special(common, {**fixed, **varied}), **varied}


def departure(
    settings: Mapping[str, Any],
    name: str,
    common: Mapping[str, Any],
    varied: Mapping[str, Sequence[Any]],
) -> str:
    """The first setting of a run that is not as its study plans it for the cell called `name`.

    It comes with both values; empty where all are as planned. Settings that the run's version of
    the tool did not have yet are passed over.
    """
    values = {
        key: _named(settings.get(key), allowed, f"{key.rpartition('.')[2]}=", name)
        for key, allowed in varied.items()
    }
    for key, value in planned_settings(common, values).items():
        if key in settings and not _alike(settings[key], value):
            return f"{key} is {settings[key]!r} and not {value!r}"
    held = name_of(values)
    return "" if held == name else f"its cell is {held!r} and not {name!r}"


def _named(held: Any, allowed: Iterable[Any], start: str, name: str) -> Any:
    """Of what a study varies: what a run holds, or else what its cell's name says."""
    allowed = list(allowed)
    said = [value for value in allowed if f" {start}{text(value)} " in f" {name} "]
    return next((value for value in allowed if _alike(held, value)), (said or [None])[0])


def _alike(held: Any, planned: Any) -> bool:
    """Whether a run holds what was planned, which may be written otherwise: 3 for 3.0."""
    if planned in ("all", ["all"]):
        return True
    try:
        return held == planned or float(held) == float(planned)
    except (TypeError, ValueError, OverflowError):
        return text(held) == text(planned)
