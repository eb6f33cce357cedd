"""Timing that holds on a shared machine: warm up, interleave, take medians; results as JSON."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
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


def save(
    name: str,
    command: str,
    rows: Sequence[dict[str, Any]],
    *,
    tables: Sequence[dict[str, Any]] = (),
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write benchmarks/results/<name>.json and print it.

    Args:
        name: stem of the file.
        command: what makes these numbers.
        rows: {"what", "value", "unit", "goal"} each; the last two where there are any.
        tables: {"title", "columns", "rows"} each, for what has more than one number a row; a
            missing number is None.
        versions: of other packages that took part.
    """
    RESULTS.mkdir(exist_ok=True)
    record = {
        "command": command,
        "environment": {
            "jax": jax.__version__,
            "backend": jax.default_backend(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            **(versions or {}),
        },
        "rows": rows,
        "tables": tables,
    }
    (RESULTS / f"{name}.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    for row in rows:
        unit, goal = (row.get(key, "") for key in ("unit", "goal"))
        print(f"{row['what']:<76} {row['value']:>10.4g} {unit:<6} {goal}")
    for table in tables:
        print("\n".join(["", *markdown(table)]))


def markdown(table: Mapping[str, Any]) -> list[str]:
    """Lines of a table with a title, one of those that `save` takes."""
    columns = table["columns"]
    lines = [f"{table['title']}:", "", f"| {' | '.join(columns)} |"]
    lines.append(f"| --- |{' ---: |' * (len(columns) - 1)}")
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in table["rows"]]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
