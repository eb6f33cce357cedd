"""What cuts remove of the growth, and where the variance comes from."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import averaged, columns, logs, over_seeds, table
from hessdiag.analysis.measured import Configuration

COHERENCE = "coherence of the terms"
SINGLE = "single inner steps"
VALIDATION = "validation trajectories"
BOUNDED = "stable-hessian"  # the cut that leaves out eigenpairs
_SOURCES = {  # the first that was measured tells
    VALIDATION: ("drawn_validation_share", "validation_share"),
    "inner trajectories": ("inner_share",),
    SINGLE: ("step_share",),
    COHERENCE: ("coherence",),
}


def cut_table(of: Configuration) -> pd.DataFrame:
    """Growth under each cut at every horizon, and the share of log-growth removed.

    The share is that of the seed's mean logarithms, not a mean of ratios; where some seed's noise
    does not grow there is none. Where a cut leaves out
    eigenpairs of the Hessian, the row says how many, on average over inner steps and samples.
    """
    data = of.having("cut_growth")
    if data is None:
        return pd.DataFrame()
    log = of.by_phase(logs(data.cut_growth))
    quantities = {"growth": (log, np.exp), "removed": (_removed(log), None)}
    cuts = averaged(quantities, confidence=of.confidence, counted="growth")
    if BOUNDED in data["cut"] and "left_out" in data:
        number = of.by_phase(data.left_out.mean("inner_step"))
        left_out = columns(over_seeds(number, confidence=of.confidence), "left_out")
        cuts = xr.merge([cuts, left_out.where(data["cut"] == BOUNDED)])
    return table(cuts.rename(cut_horizon="horizon"), "when", "cut", "horizon")


def _removed(log: xr.DataArray) -> xr.DataArray:
    """The share that each seed's cut removes; one value per probe where there is one seed.

    NaN at horizons where some of them are no noisier than at one step: no growth has no shares.
    """
    if log.sizes["seed"] > 1:
        log = log.mean("iteration").expand_dims("iteration")
    full = log.sel(cut="full", drop=True)
    return 1.0 - log / full.where(~(full <= 0.0).any(("seed", "iteration")))


def source_table(of: Configuration) -> pd.DataFrame:
    """Shares of the variance by source at the longest horizon, and the coherence of the terms."""
    shares = []
    for source, variables in _SOURCES.items():
        measured = next((name for name in variables if of.having(name) is not None), None)
        if measured is not None:
            share = of.by_seed[measured].isel(horizon=-1, cut_horizon=-1, missing_dims="ignore")
            if source == SINGLE:
                share = share.sum("inner_step", min_count=1)
            shares.append(share.reset_coords(drop=True).expand_dims(source=[source]))
    if not shares:
        return pd.DataFrame()
    together: Any = xr.concat(shares, "source")
    share = of.by_phase(together)
    rows = averaged({"share": (share, None)}, confidence=of.confidence, counted="share")
    return table(rows, "when", "source")


def sensitivity_table(of: Configuration) -> pd.DataFrame:
    """Growth at the longest horizon of |∂θ^(i)/∂η|, which carries the noise of T."""
    data = of.having("sensitivity_growth")
    if data is None:
        return pd.DataFrame()
    growth = data.sensitivity_growth.isel(horizon=-1, drop=True).mean("sensitivity_sample")
    quantities = {"growth": (of.by_phase(logs(growth)), np.exp)}
    return table(averaged(quantities, confidence=of.confidence, counted="growth"), "when")
