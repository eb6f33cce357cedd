"""Bias, standard deviation and growth by estimator and horizon, averaged over seeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray

from hessdiag.analysis.average import Average, logs, over_seeds
from hessdiag.analysis.cells import CellResult
from hessdiag.analysis.moments import KEPT, phases, probe_by_probe
from hessdiag.statistics import Bias, squared_bias


class _Measured(NamedTuple):
    """One probe; arrays (estimators, n), with a last axis over groups from log_std on."""

    log_growth: np.ndarray
    signal: np.ndarray  # squared signal-to-noise ratio, what noise adds taken off
    log_std: np.ndarray
    square: np.ndarray  # squared bias, the Monte-Carlo floor taken off
    floor: np.ndarray  # squared


def spread_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Rows for every third of training at all horizons, and along training at some of them.

    Growth and standard deviations are averaged as logarithms, which keeps their intervals positive;
    bias and signal as squares.

    Args:
        name: of the configuration.
        results: its cells.
        confidence: level of the intervals.
    """
    groups = results[0].groups
    first = next((p for r in results for p in r.probes if "growth" in p), None)
    if first is None:
        return []
    estimators, horizons = first.estimator.values.astype(str), first.horizon.values.tolist()
    known: dict[int, _Measured] = {}

    def read(probe: xarray.Dataset) -> _Measured:
        if id(probe) not in known:
            known[id(probe)] = _read(probe, groups)
        return known[id(probe)]

    rows = []
    for when, chosen in (*phases(results), *probe_by_probe(results)):
        at = [[read(probe) for probe in probes if "growth" in probe] for probes in chosen]
        for e, estimator in enumerate(estimators):
            for h, horizon in enumerate(horizons):
                if "iteration" in when and horizon not in (*KEPT, horizons[-1]):
                    continue
                place = {"configuration": name, **when, "estimator": estimator, "horizon": horizon}
                rows.extend(place | row for row in _rows(at, (e, h), list(groups), confidence))
    return rows


def _read(probe: xarray.Dataset, groups: Mapping[str, Sequence[str]]) -> _Measured:
    std, mean = (probe[key].values for key in ("std", "mean"))
    ratio = np.where(std > 0, mean / np.where(std > 0, std, 1.0), np.nan)
    names = probe.meta_parameter.values.astype(str)
    members = [np.isin(names, list(group)) for group in groups.values()]

    def by_group(values: np.ndarray) -> np.ndarray:
        return np.stack([values[..., chosen].mean(axis=-1) for chosen in members], axis=-1)

    nowhere = np.full_like(std, np.nan)
    bias, error = (probe[key].values if key in probe else nowhere for key in ("bias", "bias_error"))
    return _Measured(
        np.log(probe.growth.values),
        np.nanmean(ratio**2, axis=-1) - 1.0 / int(probe.attrs["samples"]),
        logs(by_group(std)),
        by_group(squared_bias(Bias(bias, error))),
        by_group(error**2),
    )


def _rows(
    at: list[list[_Measured]], place: tuple[int, int], groups: list[str], confidence: float
) -> Iterator[dict[str, Any]]:
    def average(read: Callable[[_Measured], float]) -> Average:
        return over_seeds([[read(one) for one in seed] for seed in at], confidence=confidence)

    growth = average(lambda one: one.log_growth[place])
    yield {
        "group": "all",
        **growth.geometric("growth"),
        **average(lambda one: one.signal[place]).columns("signal", _root),
        "over": growth.over,
        "count": growth.count,
    }
    for g, group in enumerate(groups):
        std = average(lambda one, g=g: one.log_std[place][g])
        square = average(lambda one, g=g: one.square[place][g])
        floor = average(lambda one, g=g: one.floor[place][g])
        yield {
            "group": group,
            **std.geometric("std"),
            **square.columns("bias", _root),
            "bias_floor": _root(floor.value),
            "over": std.over,
            "count": std.count,
        }


def _root(square: float) -> float:
    """The root of a square's estimate; zero where noise made it negative."""
    return float(np.sqrt(max(square, 0.0))) if np.isfinite(square) else np.nan
