"""What cuts remove of the growth, where the variance comes from, and the curvature beside it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray

from hessdiag.analysis.average import over_seeds
from hessdiag.analysis.cells import CellResult
from hessdiag.analysis.moments import phases

COHERENCE = "coherence of the terms"
SINGLE = "single inner steps"
BOUNDED = "stable-hessian"  # the cut that leaves out eigenpairs


def cut_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Growth at the longest horizon under each cut, and the share of log-growth removed.

    The share is that of the seed's mean logarithms, not a mean of ratios. Where a cut leaves out
    eigenpairs of the Hessian, the row says how many, on average over inner steps and samples.

    Args:
        name: of the configuration.
        results: its cells.
        confidence: level of the intervals.
    """
    rows = []
    for when, chosen in phases(results):
        cut = [[p.isel(cut_horizon=-1) for p in probes if "cut_growth" in p] for probes in chosen]
        first = next((p for probes in cut for p in probes), None)
        if first is None:
            continue
        full = [[_log_growth(p, "full") for p in probes] for probes in cut]
        for label in first["cut"].values.astype(str):
            logs = [[_log_growth(p, label) for p in probes] for probes in cut]
            growth = over_seeds(logs, confidence=confidence)
            removed = over_seeds(_removed(logs, full), confidence=confidence)
            row = {
                "configuration": name,
                **when,
                "horizon": int(first["cut_horizon"]),
                "cut": label,
                **growth.geometric("growth"),
                **removed.columns("removed"),
                "over": growth.over,
                "count": growth.count,
            }
            if label == BOUNDED:
                numbers = [[float(p.left_out.mean()) for p in probes] for probes in cut]
                row |= over_seeds(numbers, confidence=confidence).columns("left_out")
            rows.append(row)
    return rows


def source_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Shares of the variance by source at the longest horizon, and the coherence of the terms."""
    read: dict[str, Callable[[xarray.Dataset], float]] = {
        "validation trajectories": lambda p: p.validation_share.isel(horizon=-1),
        "inner trajectories": lambda p: p.inner_share.isel(horizon=-1),
        SINGLE: lambda p: p.step_share.isel(horizon=-1).sum(),
        COHERENCE: lambda p: p.coherence.isel(cut_horizon=-1),
    }
    needs = ("validation_share", "inner_share", "step_share", "coherence")
    rows = []
    for when, chosen in phases(results):
        for (source, value), variable in zip(read.items(), needs, strict=True):
            values = [
                [float(value(p)) for p in probes if variable in p.data_vars] for probes in chosen
            ]
            if any(values):
                average = over_seeds(values, confidence=confidence)
                columns = average.columns("share") | {"over": average.over, "count": average.count}
                rows.append({"configuration": name, **when, "source": source, **columns})
    return rows


def sensitivity_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Growth at the longest horizon of |∂θ^(i)/∂η|, which carries the noise of T."""
    rows = []
    for when, chosen in phases(results):
        there = [[p for p in probes if "sensitivity_growth" in p] for probes in chosen]
        logs = [
            [float(np.log(p.sensitivity_growth.isel(horizon=-1).mean())) for p in probes]
            for probes in there
        ]
        if any(logs):
            growth = over_seeds(logs, confidence=confidence)
            rows.append({"configuration": name, **when, **growth.geometric("growth")})
    return rows


def curvature_rows(name: str, results: Sequence[CellResult]) -> list[dict[str, Any]]:
    """How far spectral radii and norms of products are above one."""
    rows = []
    for when, chosen in phases(results):
        probes = [p for probes in chosen for p in probes if "spectral_radius_minus_one" in p]
        if not probes:
            continue
        radius = np.concatenate([p.spectral_radius_minus_one.values.ravel() for p in probes])
        error = np.concatenate([p.spectral_radius_minus_one_error.values.ravel() for p in probes])
        above = np.concatenate([p.exceeds_one.values.ravel() for p in probes])
        worst = int(np.nanargmax(radius))
        place = {"configuration": name, **when}
        rows.append(
            {
                **place,
                "operator": "paper, I + H",
                "quantity": "spectral radius",
                "median": float(np.nanmedian(radius)),
                "largest": float(radius[worst]),
                "largest_error": float(error[worst]),
                "above_one": int(np.sum(above == "yes")),
                "undecided": int(np.sum(above == "undecided")),
                "spectra": int(above.size),
            }
        )
        rows.extend(place | row for row in _operators(probes))
    return rows


def _operators(probes: list[xarray.Dataset]) -> Iterator[dict[str, Any]]:
    """Radii of the operators and norms of their longest products, on what was measured of them."""
    for variable, error, quantity in (
        ("operator_radius_minus_one", "operator_radius_estimate", "spectral radius"),
        ("product_norm_minus_one", "product_norm_error", "norm of the longest product"),
    ):
        there = [p for p in probes if variable in p]
        if not there:
            continue
        for operator in there[0].operator.values.astype(str):
            if quantity == "spectral radius" and operator == "paper":
                continue
            at = [p.sel(operator=operator) for p in there]
            if "term" in there[0][variable].dims:
                at = [p.isel(term=-1) for p in at]
            values = np.concatenate([p[variable].values.ravel() for p in at])
            errors = np.concatenate([p[error].values.ravel() for p in at])
            if not np.isfinite(values).any():
                continue
            worst = int(np.nanargmax(values))
            yield {
                "operator": operator,
                "quantity": quantity,
                "median": float(np.nanmedian(values)),
                "largest": float(values[worst]),
                "largest_error": float(errors[worst]),
                "spectra": int(values.size),
            }


def _log_growth(probe: xarray.Dataset, cut: str) -> float:
    return float(np.log(probe.cut_growth.sel(cut=cut)))


def _removed(logs: list[list[float]], full: list[list[float]]) -> list[list[float]]:
    """The share that each seed's cut removes; one value per probe where there is one seed."""
    if len(logs) == 1:
        return [[1.0 - cut / whole for cut, whole in zip(logs[0], full[0], strict=True)]]
    shares = []
    for cut, whole in zip(logs, full, strict=True):
        total = float(np.mean(whole)) if whole else 0.0
        shares.append([1.0 - float(np.mean(cut)) / total] if total else [])
    return shares
