"""Curves of training: means over seeds of losses, returns and hyper-parameters."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hessdiag.analysis.average import over_seeds
from hessdiag.analysis.cells import CellResult

BLOCKS = 120  # points of a curve
LAST = 0.05  # share of training that counts as its end


def learning_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Block means along training, averaged over seeds.

    Args:
        name: of the configuration.
        results: its cells.
        confidence: level of the intervals.
    """
    rows = []
    for series, read in _series(results[0]).items():
        curves = [_blocks(result, read) for result in results if result.metrics]
        for block in range(max((len(curve) for curve in curves), default=0)):
            there = [curve[block] for curve in curves if block < len(curve)]
            average = over_seeds([[value] for _, value in there], confidence=confidence)
            rows.append(
                {
                    "configuration": name,
                    "series": series,
                    "iteration": there[0][0],
                    **average.columns("mean"),
                    "deviation": average.deviation,
                    "seeds": average.count,
                }
            )
    return rows


def final_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Every series at the end of training: mean over its last part, then over seeds."""
    rows = []
    for series, read in _series(results[0]).items():
        ends = [
            _mean([read(r) for r in result.metrics[int((1 - LAST) * len(result.metrics)) :]])
            for result in results
            if result.status.state == "finished"
        ]
        average = over_seeds([[end] for end in ends], confidence=confidence)
        rows.append(
            {
                "configuration": name,
                **{key: _plain(value) for key, value in results[0].cell.configuration},
                "series": series,
                **average.columns("final"),
                "deviation": average.deviation,
                "seeds": average.count,
            }
        )
    return rows


def _series(result: CellResult) -> dict[str, Callable[[Mapping[str, Any]], float]]:
    """What is followed: headline, losses, and the hyper-parameters by group."""
    headline = result.about.headline

    def group(names: Sequence[str]) -> Callable[[Mapping[str, Any]], float]:
        return lambda record: _mean([record["hyper"].get(name) for name in names])

    return {
        headline: lambda record: _number(record["metrics"].get(headline)),
        "inner loss": lambda record: _number(record["inner_loss"]),
        **{name: group(names) for name, names in result.groups.items()},
    }


def _blocks(result: CellResult, read: Callable) -> list[tuple[float, float]]:
    """(iteration, mean) of equal blocks of training."""
    iterations = result.cell.settings.train.iterations
    edges = np.unique(np.linspace(0, iterations, BLOCKS + 1).astype(int))
    made = []
    for first, last in itertools.pairwise(edges.tolist()):
        values = [read(record) for record in result.metrics[first:last]]
        if len(values) == last - first:
            made.append(((first + last - 1) / 2, _mean(values)))
    return made


def _mean(values: Sequence[float | None]) -> float:
    finite = [v for v in values if v is not None and np.isfinite(v)]
    return float(np.mean(finite)) if finite else np.nan


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
