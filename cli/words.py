"""Numbers of a run in words, for one line of a terminal."""

from collections.abc import Mapping
from typing import Any


def returns_text(record: Mapping[str, Any]) -> str:
    """The metrics of an iteration."""
    shown = [
        f"{name} {value:.3g}" for name, value in record["metrics"].items() if value is not None
    ]
    return ", ".join(shown)


def hyper_text(record: Mapping[str, Any]) -> str:
    """The hyper-parameters, the first few where there are many."""
    items = list(record["hyper"].items())
    shown = " ".join(f"{name}={value:.3g}" for name, value in items[:4])
    return f"| {shown}{' …' if len(items) > 4 else ''}"


def probe_text(record: Mapping[str, Any]) -> str:
    """The headline of a probe."""
    if "growth" not in record:
        return "no meta-gradient (n = 0)"
    return (
        f"std ratio {growth_text(record)}, E1 predicts {number(record['predicted'], '.4g')}, "
        f"ρ(I+H) − 1 = {radius_text(record)}"
    )


def growth_text(record: Mapping[str, Any]) -> str:
    """The growth of the standard deviation and its interval."""
    growth, low, high = (
        number(record[name], ".3g") for name in ("growth", "growth_low", "growth_high")
    )
    return f"{growth} [{low}, {high}]"


def radius_text(record: Mapping[str, Any]) -> str:
    """The spectral radius, minus one, and its error."""
    radius = number(record["spectral_radius_minus_one"], ".2e")
    return f"{radius} ± {number(record['spectral_radius_minus_one_error'], '.0e')}"


def number(value: float | None, form: str) -> str:
    """A number, or a question mark for the null of one that is not finite."""
    return "?" if value is None else format(value, form)


def duration(seconds: float) -> str:
    """Seconds in words that fit their size."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
