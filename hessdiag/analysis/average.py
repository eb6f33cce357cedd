"""Averages over seeds with their interval, and over probes where there is a single seed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import stdtrit

Transform = Callable[[Any], Any] | None


def over_seeds(values: xr.DataArray, *, confidence: float) -> xr.Dataset:
    """Mean and Student's interval of the seeds' means.

    Runs are independent, their probes are not: each seed counts once. Where a single seed has
    values the interval is over its probes, and says so.

    Args:
        values: (seed, iteration, …); what is not finite is left out.
        confidence: level of the interval.

    Returns:
        Over the other dimensions: value, low, high, deviation, count, and over ("seeds" or
        "probes"). Low, high and deviation are NaN where there is a single value.
    """
    finite = values.where(np.isfinite(values))
    means = finite.mean("iteration")
    mean, seeds = means.mean("seed"), means.count("seed")
    is_single = seeds == 1
    count = xr.where(is_single, finite.count(("seed", "iteration")), seeds)
    squares = xr.where(
        is_single,
        ((finite - mean) ** 2).sum(("seed", "iteration")),
        ((means - mean) ** 2).sum("seed"),
    )
    deviation = np.sqrt(squares / (count - 1).where(count > 1))
    half = stdtrit((count - 1).where(count > 1), 0.5 + confidence / 2) * deviation / np.sqrt(count)
    over = xr.where(is_single, "probes", "seeds")
    numbers = {"value": mean, "low": mean - half, "high": mean + half, "deviation": deviation}
    return xr.Dataset({**numbers, "count": count, "over": over})


def logs(sizes: Any) -> Any:
    """Logarithms of sizes; NaN, which averages leave out, where a size is zero."""
    return np.log(sizes.astype(float).where(sizes > 0))


def columns(average: xr.Dataset, name: str, transform: Transform = None) -> xr.Dataset:
    """Value and ends of an average, called as columns of a table."""
    ends = average[["value", "low", "high"]]
    if transform is not None:
        ends = ends.map(transform)
    return ends.rename(value=name, low=f"{name}_low", high=f"{name}_high")


def averaged(
    quantities: Mapping[str, tuple[xr.DataArray, Transform]], *, confidence: float, counted: str
) -> xr.Dataset:
    """Columns of the averages of several quantities, with what one of them is counted over.

    Args:
        quantities: values (seed, iteration, …) and what the averages are transformed by.
        confidence: level of the intervals.
        counted: the quantity whose `over` and `count` are told.
    """
    averages = {
        name: over_seeds(values, confidence=confidence) for name, (values, _) in quantities.items()
    }
    parts = [columns(averages[name], name, back) for name, (_, back) in quantities.items()]
    return xr.merge([*parts, averages[counted][["over", "count"]]], compat="override")


def table(dataset: xr.Dataset, *dims: str) -> pd.DataFrame:
    """A row for each place along the dimensions, the first varying slowest."""
    kept = [name for name in dataset.coords if name not in dims]
    return dataset.drop_vars(kept).to_dataframe(dim_order=list(dims)).reset_index()
