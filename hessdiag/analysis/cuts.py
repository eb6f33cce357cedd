"""What cuts remove of the growth, and where the variance comes from."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import columns, logs, over_seeds, table
from hessdiag.analysis.measured import Configuration

COHERENCE = "coherence of the terms"
SINGLE = "single inner steps"
VALIDATION = "validation trajectories"
BOUNDED = "stable-hessian"  # the cut that leaves out eigenpairs


def cut_table(of: Configuration) -> pd.DataFrame:
    """Growth under each cut at every horizon, and the share of log-growth removed.

    The share is that of the seed's mean logarithms, not a mean of ratios. Where a cut leaves out
    eigenpairs of the Hessian, the row says how many, on average over inner steps and samples.
    """
    data = of.having("cut_growth")
    if data is None:
        return pd.DataFrame()
    log = of.by_phase(logs(data.cut_growth))
    growth = over_seeds(log, confidence=of.confidence)
    removed = over_seeds(_removed(log), confidence=of.confidence)
    parts = [columns(growth, "growth", np.exp), columns(removed, "removed")]
    parts.append(growth[["over", "count"]])
    if BOUNDED in data["cut"] and "left_out" in data:
        number = of.by_phase(data.left_out.mean("inner_step"))
        left_out = columns(over_seeds(number, confidence=of.confidence), "left_out")
        parts.append(left_out.where(data["cut"] == BOUNDED))
    cuts = xr.merge(parts, compat="no_conflicts").rename(cut_horizon="horizon")
    return table(cuts, "when", "cut", "horizon")


def _removed(log: xr.DataArray) -> xr.DataArray:
    """The share that each seed's cut removes; one value per probe where there is one seed."""
    if log.sizes["seed"] > 1:
        log = log.mean("iteration").expand_dims("iteration")
    full = log.sel(cut="full", drop=True)
    return 1.0 - log / full.where(full != 0.0)


def source_table(of: Configuration) -> pd.DataFrame:
    """Shares of the variance by source at the longest horizon, and the coherence of the terms."""
    read: dict[str, tuple[str, Callable[[xr.DataArray], xr.DataArray]]] = {
        VALIDATION: ("validation_share", lambda share: share.isel(horizon=-1)),
        "inner trajectories": ("inner_share", lambda share: share.isel(horizon=-1)),
        SINGLE: (
            "step_share",
            lambda share: share.isel(horizon=-1).sum("inner_step", min_count=1),
        ),
        COHERENCE: ("coherence", lambda share: share.isel(cut_horizon=-1)),
    }
    shares = [
        value(data[variable]).reset_coords(drop=True).expand_dims(source=[source])
        for source, (variable, value) in read.items()
        if (data := of.having(variable)) is not None
    ]
    if not shares:
        return pd.DataFrame()
    average = over_seeds(of.by_phase(xr.concat(shares, "source")), confidence=of.confidence)
    rows = xr.merge([columns(average, "share"), average[["over", "count"]]])
    return table(rows, "when", "source")


def sensitivity_table(of: Configuration) -> pd.DataFrame:
    """Growth at the longest horizon of |∂θ^(i)/∂η|, which carries the noise of T."""
    data = of.having("sensitivity_growth")
    if data is None:
        return pd.DataFrame()
    growth = data.sensitivity_growth.isel(horizon=-1, drop=True).mean("sensitivity_sample")
    average = over_seeds(of.by_phase(logs(growth)), confidence=of.confidence)
    rows = xr.merge([columns(average, "growth", np.exp), average[["over", "count"]]])
    return table(rows, "when")
