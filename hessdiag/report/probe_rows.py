"""Probes in long form, and what figures and tables ask of the operators of inner steps."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from hessdiag.report.select import iteration

RADIUS = "operator_radius_minus_one"
NORM = "product_norm_minus_one"
_OPERATOR = ("operator_unroll", "inner_step", "operator")


def long_rows(
    probes: Iterable[xr.Dataset], variables: Sequence[str], dimensions: Sequence[str]
) -> list[dict[str, Any]]:
    """One row per probe and index, with the iteration; what a probe lacks is left out."""
    rows = []
    for probe in probes:
        present = [name for name in variables if name in probe]
        if present:
            rows.extend(_of_probe(probe, present, dimensions))
    return rows


def _of_probe(
    probe: xr.Dataset, variables: Sequence[str], dimensions: Sequence[str]
) -> list[dict[str, Any]]:
    used = [d for d in dimensions if any(d in probe[name].dims for name in variables)]
    full = xr.broadcast(*(probe[name] for name in variables))
    columns = [array.transpose(*used).values.ravel().tolist() for array in full]
    labels = itertools.product(*(np.asarray(probe[d].values).tolist() for d in used))
    return [
        {"iteration": iteration(probe), **dict(zip(used, label, strict=True))}
        | dict(zip(variables, values, strict=True))
        for label, values in zip(labels, zip(*columns, strict=True), strict=True)
    ]


def operators(probes: Sequence[xr.Dataset], variable: str) -> list[str]:
    """The operators that some probe holds the variable for, in order of first appearance."""
    held = (p["operator"].values for p in probes if variable in p and "operator" in p.coords)
    return list(dict.fromkeys(str(name) for found in held for name in found))


def of_operator(probe: xr.Dataset, variable: str, name: str) -> np.ndarray:
    """(unroll, inner step, …) of one operator; NaN where the probe has none."""
    if variable not in probe or name not in operators([probe], variable):
        return np.full([probe.sizes.get(dimension, 0) for dimension in _OPERATOR[:2]], np.nan)
    array = probe[variable].transpose(*_OPERATOR, ...)
    return array.values[:, :, operators([probe], variable).index(name)]


def shown_error(
    value: np.ndarray, bound: np.ndarray, estimate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The error that tells a reader more: the bound, unless it says nothing.

    A bound says nothing where it is infinite, or beyond both the value and twice the first-order
    error.

    Args:
        value: What was measured.
        bound: Bounds on its error.
        estimate: First-order errors, no bounds; NaN where there are none.

    Returns:
        The errors, and where they are the bounds.
    """
    telling = bound <= np.fmax(2 * estimate, np.abs(value))
    bounded = np.isfinite(bound) & (telling | ~np.isfinite(estimate))
    return np.where(bounded, bound, estimate), bounded
