"""How far spectral radii and norms of products are above one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.finite import largest, median
from hessdiag.analysis.measured import ALL, Configuration
from hessdiag.analysis.phases import PHASES

PAPER = "paper, I + H"
RADIUS = "spectral radius"
NORM = "norm of the longest product"
_OPERATORS = {
    RADIUS: ("operator_radius_minus_one", "operator_radius_estimate"),
    NORM: ("product_norm_minus_one", "product_norm_error"),
}


def curvature_table(of: Configuration) -> pd.DataFrame:
    """Median and largest of the radii of every operator, and of the norms of its products."""
    if "spectral_radius_minus_one" not in of.probes:
        return pd.DataFrame()
    rows = []
    for when in (*PHASES, ALL):
        probes = of.probes.isel(probe=(of.probes.when == when) | (when == ALL))
        if probes.sizes["probe"]:
            rows += [{"when": when, **row} for row in _rows(probes)]
    return pd.DataFrame(rows)


def _rows(probes: xr.Dataset) -> Iterator[dict[str, Any]]:
    above = probes.exceeds_one.values.ravel()
    counts = {"above_one": np.sum(above == "yes"), "undecided": np.sum(above == "undecided")}
    signs = {name: int(count) for name, count in counts.items()}
    radius, error = probes.spectral_radius_minus_one, probes.spectral_radius_minus_one_error
    yield _sizes(PAPER, RADIUS, radius, error) | signs | {"spectra": int(above.size)}
    for quantity, (variable, error_of_it) in _OPERATORS.items():
        for operator in probes.operator.values.astype(str) if variable in probes else ():
            of_operator = probes[[variable, error_of_it]].sel(operator=operator)
            longest = of_operator.isel(term=-1, missing_dims="ignore")
            values, errors = longest[variable], longest[error_of_it]
            if np.isfinite(values).any() and (quantity, operator) != (RADIUS, "paper"):
                spectra = {"spectra": int(values.size)}
                yield _sizes(operator, quantity, values, errors) | spectra


def _sizes(
    operator: str, quantity: str, values: xr.DataArray, errors: xr.DataArray
) -> dict[str, Any]:
    most, its_error = largest(values.values, errors.values)
    return {
        "operator": operator,
        "quantity": quantity,
        "median": median(values.values),
        "largest": most,
        "largest_error": its_error,
    }
