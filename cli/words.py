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
        f"std ratio {record['growth']:.3g} "
        f"[{record['growth_low']:.3g}, {record['growth_high']:.3g}], "
        f"E1 predicts {record['predicted']:.4g}, "
        f"ρ(I+H) − 1 = {record['spectral_radius_minus_one']:.2g} "
        f"± {record['spectral_radius_minus_one_error']:.0e}"
    )
