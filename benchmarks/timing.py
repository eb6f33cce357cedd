"""Timing that holds on a shared machine: warm up, interleave, take medians; results as JSON."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

RESULTS = Path(__file__).parent / "results"


def medians(functions: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, float]:
    """Median seconds of each function, the functions taking turns.

    Args:
        functions: name → a call that returns arrays; they are waited for.
        repeats: timed calls of each, after one that is not.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        jax.block_until_ready(function())
    for _ in range(repeats):
        for name, function in functions.items():
            began = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def save(name: str, command: str, rows: list[dict[str, Any]]) -> None:
    """Write benchmarks/results/<name>.json and print its rows.

    Args:
        name: stem of the file.
        command: what makes these numbers.
        rows: {"what", "value", "unit", "goal"} each.
    """
    RESULTS.mkdir(exist_ok=True)
    record = {
        "command": command,
        "environment": {
            "jax": jax.__version__,
            "backend": jax.default_backend(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        },
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    for row in rows:
        print(f"{row['what']:<76} {row['value']:>10.4g} {row['unit']:<6} {row.get('goal', '')}")
