"""Bias, standard deviation and growth by estimator and horizon, averaged over seeds."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import columns, logs, over_seeds, table
from hessdiag.analysis.measured import KEPT, Configuration
from hessdiag.statistics import Bias, squared_bias


def spread_table(of: Configuration) -> pd.DataFrame:
    """Rows for every third of training at all horizons, and along training at some of them.

    Growth and standard deviations are averaged as logarithms, which keeps their intervals positive;
    bias and signal as squares, what sampling adds to them taken off.
    """
    data = of.having("growth", "std", "bias")
    if data is None:
        return pd.DataFrame()
    measured = _quantities(data, of)
    horizons = data.horizon.values
    kept = measured.sel(horizon=[n for n in horizons if n in KEPT or n == horizons[-1]])
    along = kept.rename(iteration="at").expand_dims("iteration")  # each a phase of its own
    thirds = _averaged(measured.map(of.by_phase), of.confidence)
    single = _averaged(along, of.confidence).rename(at="iteration")
    dims = ("estimator", "horizon", "group")
    both = [table(thirds, "when", *dims), table(single, "iteration", *dims)]
    return pd.concat([rows.query("count > 0") for rows in both], ignore_index=True)


def _quantities(data: xr.Dataset, of: Configuration) -> xr.Dataset:
    """(seed, iteration, estimator, horizon) and by group what is averaged."""
    ratio = data["mean"] / data["std"].where(data["std"] > 0)
    names = data.meta_parameter.values.astype(str)
    member = xr.DataArray(
        [np.isin(names, list(group)) for group in of.groups.values()],
        dims=("group", "meta_parameter"),
        coords={"group": list(of.groups), "meta_parameter": data.meta_parameter},
    )

    def by_group(values: xr.DataArray) -> xr.DataArray:
        return values.where(member).mean("meta_parameter")

    return xr.Dataset(
        {
            "growth": logs(data.growth),
            "signal": (ratio**2).mean("meta_parameter") - 1.0 / data.samples,
            "std": logs(by_group(data["std"])),
            "bias": by_group(squared_bias(Bias(data.bias, data.bias_error))),
            "floor": by_group(data.bias_error**2),
        }
    )


def _averaged(measured: xr.Dataset, confidence: float) -> xr.Dataset:
    average = {
        str(name): over_seeds(values, confidence=confidence) for name, values in measured.items()
    }
    whole = [
        columns(average["growth"], "growth", np.exp),
        columns(average["signal"], "signal", _root),
        average["growth"][["over", "count"]],
    ]
    groups = [
        columns(average["std"], "std", np.exp),
        columns(average["bias"], "bias", _root),
        _root(average["floor"].value).rename("bias_floor"),
        average["std"][["over", "count"]],
    ]
    together = [xr.merge(whole).expand_dims(group=["all"]), xr.merge(groups)]
    both: Any = xr.concat(together, dim="group", join="outer", data_vars="all")
    return both


def _root(square: xr.DataArray) -> xr.DataArray:
    """The root of a square's estimate; zero where noise made it negative."""
    return square.clip(min=0.0) ** 0.5
