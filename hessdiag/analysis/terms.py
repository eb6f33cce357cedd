"""The terms of eq. 11, one by one: their shares of the variance, and what their size is made of."""

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import averaged, logs, table
from hessdiag.analysis.measured import Configuration

SHARES = ("variance_share", "covariance_share", "step_share")
"""Of the variance: a term's own, its covariances, and what its step's trajectories do alone."""

PRODUCT = "eq11_product_norm_minus_one"
_UNROLLS = ("operator_unroll", "meta_parameter")


def term_table(of: Configuration) -> pd.DataFrame:
    """A row per term i of the longest horizon n, which inner step n − i contributes.

    Shares are averaged as they are, sizes and alignments, without their sign, as logarithms; both
    over the meta-parameters first.
    """
    data = of.by_seed if of.probes.sizes.get("probe") else xr.Dataset()
    quantities = _shares(data) | _factors(data)
    if not quantities:
        return pd.DataFrame()
    transforms = {**dict.fromkeys(SHARES), PRODUCT: np.expm1}
    named = {
        name: (of.by_phase(values.transpose(..., "inner_step")), transforms.get(name, np.exp))
        for name, values in quantities.items()
    }
    average = averaged(named, confidence=of.confidence, counted=[*named][-1])
    n = data.sizes["inner_step"]
    backwards = average.assign_coords(inner_step=range(n)).isel(inner_step=slice(None, None, -1))
    rows = table(backwards, "when", "inner_step")
    return rows.assign(horizon=n, term=n - rows["inner_step"])


def _shares(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Own and shared parts of the variance of each term: those of all terms sum to one."""
    shares = {}
    if "term_covariance" in data:
        covariance = data.term_covariance.isel(cut_horizon=-1, drop=True)
        is_own = covariance.inner_step == covariance.other_step
        own = covariance.where(is_own).sum("other_step", min_count=1)
        total = covariance.sum(("inner_step", "other_step"), min_count=1)
        total = total.where(total > 0)  # a meta-parameter that never varies says nothing
        others = covariance.sum("other_step") - own
        shares["variance_share"] = (own / total).mean("meta_parameter")
        shares["covariance_share"] = (others / total).mean("meta_parameter")
    if "step_share" in data:
        shares["step_share"] = data.step_share.isel(horizon=-1, drop=True)
    return shares


def _factors(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Logarithms of what a term is the product of: by its reach, and by norms of products.

    The latter as they are, and as eq. 11 is printed.
    """
    sizes = {}
    if "term_reach" in data:
        last = data.isel(cut_horizon=-1, drop=True)
        sizes["outer_norm"] = last.outer_norm.broadcast_like(last.term_reach)
        sizes["term_reach"] = last.term_reach
        sizes["mixed_norm"] = last.mixed_norm.mean("meta_parameter")
        sizes["term_alignment"] = abs(last.term_alignment).mean("meta_parameter")
    if "path_alignment" in data:
        sizes["path_norm"] = data.path_norm.mean("operator_unroll")
        sizes["path_alignment"] = abs(data.path_alignment).mean(_UNROLLS)
    if "eq11_alignment" in data:
        norms = data.eq11_product_norm.mean("operator_unroll")
        outer = data.eq11_outer_norm.mean("operator_unroll")
        sizes["eq11_outer_norm"] = outer.broadcast_like(norms)
        sizes[PRODUCT] = norms
        sizes["eq11_mixed_norm"] = data.eq11_mixed_norm.mean(_UNROLLS)
        sizes["eq11_alignment"] = abs(data.eq11_alignment).mean(_UNROLLS)
    return {name: logs(size) for name, size in sizes.items()}
