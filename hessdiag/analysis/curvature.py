"""How far spectral radii and norms of products are above one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.measured import ALL, PHASES, Configuration

PAPER = "paper, I + H"
RADIUS = "spectral radius"
NORM = "norm of the longest product"


def curvature_table(of: Configuration) -> pd.DataFrame:
    """Median and largest of the radii of every operator, and of the norms of its products."""
    if "spectral_radius_minus_one" not in of.probes:
        return pd.DataFrame()
    rows = []
    for when in (*PHASES, ALL):
        probes = of.probes.isel(probe=(of.probes.when == when) | (when == ALL))
        if probes.sizes["probe"]:
            rows += [{"when": when, **row} for row in (_paper(probes), *_operators(probes))]
    return pd.DataFrame(rows)


def _paper(probes: xr.Dataset) -> dict[str, Any]:
    above = probes.exceeds_one.values.ravel()
    return {
        "operator": PAPER,
        "quantity": RADIUS,
        **_sizes(probes.spectral_radius_minus_one, probes.spectral_radius_minus_one_error),
        "above_one": int(np.sum(above == "yes")),
        "undecided": int(np.sum(above == "undecided")),
        "spectra": int(above.size),
    }


def _operators(probes: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Radii of the operators and norms of their longest products, on what was measured of them."""
    for variable, error, quantity in (
        ("operator_radius_minus_one", "operator_radius_estimate", RADIUS),
        ("product_norm_minus_one", "product_norm_error", NORM),
    ):
        if variable not in probes:
            continue
        for operator in probes.operator.values.astype(str):
            values, errors = (probes[name].sel(operator=operator) for name in (variable, error))
            if "term" in values.dims:
                values, errors = values.isel(term=-1), errors.isel(term=-1)
            if np.isfinite(values).any() and (quantity, operator) != (RADIUS, "paper"):
                sizes = _sizes(values, errors) | {"spectra": int(values.size)}
                yield {"operator": operator, "quantity": quantity, **sizes}


def _sizes(values: xr.DataArray, errors: xr.DataArray) -> dict[str, float]:
    largest = int(np.nanargmax(values.values))
    return {
        "median": float(np.nanmedian(values.values)),
        "largest": float(values.values.flat[largest]),
        "largest_error": float(errors.values.flat[largest]),
    }
