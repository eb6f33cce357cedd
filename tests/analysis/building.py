"""Configurations and studies made of datasets and rows, without any run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.comparisons import SENSITIVITY
from hessdiag.analysis.findings import Answer
from hessdiag.analysis.frames import frame
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.tables import NAMES
from hessdiag.analysis.verdict import verdict
from hessdiag.record.run_directory import RunRecord
from hessdiag.record.study_directory import CellRecord, CellStatus

CONFIG = {
    "settings": {"kappa": None, "probe": {"confidence": 0.95}},
    "meta_parameters": [{"name": "x", "group": None}],
    "problem": {"headline": "return"},
}


def of_ends(
    name: str, settings: Mapping[str, Any], ends: Mapping[int, float], *, state: str = "finished"
) -> Configuration:
    """A run of 40 iterations per seed, whose return is the end throughout."""
    config, cells = CONFIG | {"settings": settings}, []
    for seed, end in ends.items():
        told = {"iteration": np.arange(40.0), "metrics.return": np.full(40, end)}
        run = RunRecord(Path(), config, {}, pd.DataFrame(told), ())
        cells.append(CellRecord("", "", seed, 40, CellStatus(state, 40), run))
    return Configuration(name, cells, 0.95)


def of_probes(
    probes: Sequence[Sequence[xr.Dataset]], *, confidence: float = 0.95, iterations: int = 8
) -> Configuration:
    """One run per seed, with these probes."""
    cells = [
        CellRecord(
            f"seed={seed}",
            "",
            seed,
            iterations,
            CellStatus("finished", iterations),
            RunRecord(Path(), CONFIG, {}, pd.DataFrame(), tuple(own)),
        )
        for seed, own in enumerate(probes)
    ]
    return Configuration("x", cells, confidence)


RUNS, PROBES, N = 6, 3, 4
PREDICTED = {
    "E1 spectral radius": (2.2, 3.9, 6.3),
    "E3 accumulation, coherent": (2.0, 3.0, 4.0),
    "E4 optimiser memory, coherent": (2.9, 5.6, 9.0),
}


def comparisons(
    growth: Any,
    *,
    radius: float = 1e-5,
    also: Mapping[str, Any] | None = None,
    yardstick: Any = None,
    wide: float | None = None,
) -> list[dict[str, Any]]:
    """Rows in which E1 and E4 predict different things, and `growth` is measured, a bit noisy.

    Args:
        growth: at 2, 3 and 4 steps; or the explanation that is right.
        radius: of I + H minus one; below 1e-3 E1 predicts what E3 does.
        also: further predictions, for all probes or (P, 3).
        yardstick: the measured sensitivity.
        wide: factor between the measured growth and the ends of its interval.
    """
    predicted = {label: np.array(values) for label, values in PREDICTED.items()}
    if radius < 1e-3:
        predicted["E1 spectral radius"] = predicted["E3 accumulation, coherent"] * (1 + radius)
    predicted |= also or {}
    target = predicted[growth] if isinstance(growth, str) else np.asarray(growth)
    measured = target * np.exp(0.02 * np.random.default_rng(0).normal(size=(RUNS * PROBES, 3)))
    if yardstick is not None:
        predicted[SENSITIVITY] = np.asarray(yardstick)
    rows = []
    for label, values in predicted.items():
        for (p, h), value in np.ndenumerate(np.broadcast_to(values, measured.shape)):
            row = {
                "configuration": "",
                "estimator": "n-step",
                "seed": p // PROBES,
                "iteration": p % PROBES,
                "when": "early",
                "horizon": h + 2,
                "explanation": label,
                "predicted": float(value),
                "measured": measured[p, h],
            }
            if wide is not None:
                row |= {
                    "measured_low": measured[p, h] / wide,
                    "measured_high": measured[p, h] * wide,
                }
            if np.isfinite(value):
                rows.append(row)
    return rows


def cut(name: str, removed: float, **more: Any) -> dict[str, Any]:
    """A row of the table of cuts: of a growth of 5, this share of the logarithm is removed."""
    left = 5.0 ** (1.0 - removed)
    growth = {"growth": left, "growth_low": left - 0.1, "growth_high": left + 0.1}
    return {"cut": name, "horizon": N, **growth, **ends("removed", removed), **more}


def ends(name: str, value: float, half: float = 0.01) -> dict[str, float]:
    """A number with its interval."""
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def answers(growth: Any = (2.0, 3.0, 4.0), **how: Any) -> dict[str, Answer]:
    """The verdict by question.

    Args:
        growth: as for `comparisons`; None for no comparison.
        how: tables by name, and what else `comparisons` takes. The paths that are cut remove
            nothing unless told otherwise.
    """
    tables = {name: how.pop(name) for name in NAMES if name in how}
    tables.setdefault("cuts", [cut("no-hessian", 0.0), cut("no-memory", 0.0)])
    tables["cuts"] = [cut("full", 0.0), *tables["cuts"]]
    if growth is not None:
        tables["comparisons"] = comparisons(growth, **how)
    place = {"configuration": "", "when": "all", "over": "seeds", "count": 3}
    frames = {name: frame([place | row for row in tables.get(name, ())]) for name in NAMES}
    return {one.question: one for one in verdict(frames, [""], confidence=0.95)}
