"""Bias, standard deviation and growth by estimator and horizon; and what mixing does to it."""

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import averaged, logs, table
from hessdiag.analysis.measured import KEPT, Configuration
from hessdiag.statistics import Bias, mix_weights, mixed_growth, squared_bias


def spread_table(of: Configuration) -> pd.DataFrame:
    """Rows for every phase of training at all horizons, and along training at some of them.

    Growth and standard deviations are averaged as logarithms, which keeps their intervals positive;
    bias and signal as squares, what sampling adds to them taken off.
    """
    data = of.having("growth", "std", "bias")
    if data is None:
        return pd.DataFrame()
    quantities = _quantities(data, of)
    horizons = data.horizon.values
    kept = quantities.sel(horizon=[n for n in horizons if n in KEPT or n == horizons[-1]])
    along = kept.rename(iteration="at").expand_dims("iteration")  # each a phase of its own
    phases = _averaged(quantities.map(of.by_phase), of.confidence)
    single = _averaged(along, of.confidence).rename(at="iteration")
    dims = ("estimator", "horizon", "group")
    both = [table(phases, "when", *dims), table(single, "iteration", *dims)]
    return pd.concat([rows.query("count > 0") for rows in both], ignore_index=True)


def _quantities(data: xr.Dataset, of: Configuration) -> xr.Dataset:
    """(seed, iteration, estimator, horizon) and by group what is averaged."""
    ratio = data["mean"] / data["std"].where(data["std"] > 0)
    names = data.meta_parameter.values.astype(str)
    inside = [np.isin(names, list(group)) for group in of.groups.values()]
    member = xr.DataArray(
        np.reshape(inside, (-1, len(names))).astype(bool),  # no groups where names are too many
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
            "bias_floor": by_group(data.bias_error**2),
        }
    )


def _averaged(quantities: xr.Dataset, confidence: float) -> xr.Dataset:
    back = {"growth": np.exp, "std": np.exp}
    whole, groups = (
        averaged(
            {name: (quantities[name], back.get(name, _root)) for name in names},
            confidence=confidence,
            counted=names[0],
        )
        for names in (("growth", "signal"), ("std", "bias", "bias_floor"))
    )
    groups = groups.drop_vars(["bias_floor_low", "bias_floor_high"])
    together = [whole.expand_dims(group=["all"]), groups]
    return xr.concat(together, dim="group", join="outer", data_vars="all")


def _root(square: xr.DataArray) -> xr.DataArray:
    """The root of a square's estimate; zero where noise made it negative."""
    return square.clip(min=0.0) ** 0.5


def mixing_table(of: Configuration) -> pd.DataFrame:
    """Growth of the mixes: measured, and from that of the n-step ones, independent or as one."""
    data = of.having("growth")
    if data is None:
        return pd.DataFrame()
    steps = data.growth.sel(estimator="n-step", drop=True)
    curves = {
        "n-step": steps,
        "mix": data.growth.sel(estimator="mix", drop=True),
        "mix if independent": expected_of_mixes(steps, of, coherent=False),
        "mix if coherent": expected_of_mixes(steps, of, coherent=True),
    }
    growth = of.by_phase(logs(xr.concat([*curves.values()], pd.Index([*curves], name="curve"))))
    rows = averaged({"growth": (growth, np.exp)}, confidence=of.confidence, counted="growth")
    return table(rows, "when", "curve", "horizon")


def expected_of_mixes(steps: xr.DataArray, of: Configuration, *, coherent: bool) -> xr.DataArray:
    """What follows for the mixes, with the κ of these runs, from values at 1 … n steps."""
    weights = [
        mix_weights(i, of.settings.get("kappa")) for i in range(1, steps.sizes["horizon"] + 1)
    ]
    at_last = steps.transpose(..., "horizon")
    return at_last.copy(data=mixed_growth(at_last.values, weights, coherent=coherent))
