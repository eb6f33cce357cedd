"""The curvature of chosen leaves of the parameters."""

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.finite import largest, median
from hessdiag.analysis.measured import Configuration

TOGETHER = "all of them together"


def leaf_table(of: Configuration) -> pd.DataFrame:
    """The ends of each chosen leaf's block of the Hessian, and of all of them as one block.

    Lowest and highest are those of all probes, each with its error, the share of the trace their
    median; the radius is that of I − α times the block, minus one, the largest of all probes.
    """
    if "leaf_highest" not in of.probes:
        return pd.DataFrame()
    rates = of.probes.learning_rate.isel(inner_step=0)
    rows = []
    for name in of.probes.leaf.values:
        block = of.probes.sel(leaf=name)
        numbers = {"parameters": int(np.nanmax(block.leaf_size)), **_ends(block, "leaf", rates)}
        share = median(block.leaf_share.values)
        rows.append({"leaf": str(name), **numbers, "share": share})
    together = {"leaf": TOGETHER, "parameters": sum(row["parameters"] for row in rows)}
    return pd.DataFrame([*rows, together | _ends(of.probes, "leaves", rates)])


def _ends(block: xr.Dataset, prefix: str, rates: xr.DataArray) -> dict[str, float]:
    lowest, low_error, highest, high_error = (
        block[f"{prefix}_{name}"].values.ravel()
        for name in ("lowest", "lowest_error", "highest", "highest_error")
    )
    alpha = rates.values.ravel()
    sides = np.concatenate([-alpha * lowest, alpha * highest - 2])
    errors = np.concatenate([alpha * low_error, alpha * high_error])
    negative, its_error = largest(-lowest, low_error)
    return {
        **_named("lowest", (-negative, its_error)),
        **_named("highest", largest(highest, high_error)),
        **_named("radius_minus_one", largest(sides, errors)),
    }


def _named(name: str, number: tuple[float, float]) -> dict[str, float]:
    return {name: number[0], f"{name}_error": number[1]}
