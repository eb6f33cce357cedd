"""What a terminal shows of a run or a study, in words."""

import shutil
from collections.abc import Mapping
from typing import Any

from hessdiag.analysis import Findings
from hessdiag.report.terminal import first_screen


def summary(findings: Findings) -> str:
    """What a run or study found, as wide as the terminal is."""
    width = shutil.get_terminal_size((110, 25)).columns
    return "\n".join(first_screen(findings, width=width))


def iteration_text(record: Mapping[str, Any]) -> str:
    """The metrics of an iteration and its first few hyper-parameters."""
    metrics = {name: value for name, value in record["metrics"].items() if value is not None}
    returns = ", ".join(f"{name} {value:.3g}" for name, value in metrics.items())
    hyper = [f"{name}={value:.3g}" for name, value in record["hyper"].items()]
    if not hyper:
        return returns
    more = " …" if len(hyper) > 4 else ""
    return f"{returns} | {' '.join(hyper[:4])}{more}"


def probe_text(record: Mapping[str, Any]) -> str:
    """The headline of a probe; a question mark stands for what is not finite."""
    if "growth" not in record:
        return "no meta-gradient (n = 0)"

    def number(name: str, form: str) -> str:
        return "?" if record[name] is None else format(record[name], form)

    growth, low, high = (number(name, ".3g") for name in ("growth", "growth_low", "growth_high"))
    radius = number("spectral_radius_minus_one", ".2e")
    error = number("spectral_radius_minus_one_error", ".0e")
    predicted = number("predicted", ".4g")
    return (
        f"std ratio {growth} [{low}, {high}], E1 predicts {predicted}, "
        f"ρ(I+H) − 1 = {radius} ± {error}"
    )


def duration(seconds: float) -> str:
    """Seconds in words that fit their size."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
