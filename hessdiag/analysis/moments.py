"""Where in training: single probes, thirds of training, and all of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import xarray

from hessdiag.analysis.cells import CellResult

PHASES = ("early", "middle", "late")
ALL = "all"
KEPT = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40)
"""Horizons kept where every probe or every iteration has its own rows, and the longest."""


def phase_of(iteration: int, iterations: int) -> str:
    """The third of training that an iteration lies in."""
    return PHASES[min(3 * iteration // max(iterations, 1), 2)]


def phases(
    results: Sequence[CellResult],
) -> Iterator[tuple[dict[str, Any], list[list[xarray.Dataset]]]]:
    """Thirds of training that have probes, then all of it, with each seed's probes in them."""
    for phase in (*PHASES, ALL):
        chosen = [
            [probe for probe in result.probes if phase in (ALL, _phase(probe, result))]
            for result in results
        ]
        if any(chosen):
            yield {"when": phase}, chosen


def probe_by_probe(
    results: Sequence[CellResult],
) -> Iterator[tuple[dict[str, Any], list[list[xarray.Dataset]]]]:
    """Every iteration at which some seed has a probe, with the probes there."""
    at = sorted({int(p.attrs["iteration"]) for result in results for p in result.probes})
    for iteration in at:
        yield (
            {"iteration": iteration},
            [[p for p in r.probes if p.attrs["iteration"] == iteration] for r in results],
        )


def _phase(probe: xarray.Dataset, result: CellResult) -> str:
    return phase_of(int(probe.attrs["iteration"]), result.cell.settings.train.iterations)
