"""What each cut removes of the growth, probe by probe."""

import xarray as xr

from hessdiag.report.numbers import MISSING, with_interval
from hessdiag.report.probes import having
from hessdiag.report.tables.table import Table


def counterfactual_table(probe: xr.Dataset) -> Table | None:
    """Growth at the longest horizon under each cut, and the share of its logarithm removed.

    Args:
        probe: One probe.

    Returns:
        A row per cut, the full meta-gradient first; None without counterfactuals.
    """
    if not having([probe], "cut_growth", "cut_removed") or probe.sizes["cut_horizon"] < 2:
        return None
    at = probe.isel(cut_horizon=-1)
    horizon = int(at["cut_horizon"])
    rows = []
    for cut in at["cut"].values.astype(str):
        own = at.sel(cut=cut)
        removed = MISSING if cut == "full" else _interval(own, "cut_removed")
        rows.append((cut, _interval(own, "cut_growth"), removed))
    return Table(("paths", f"growth at {horizon}", "share of log-growth removed"), rows)


def _interval(at: xr.Dataset, name: str) -> str:
    return with_interval(*(float(at[f"{name}{end}"]) for end in ("", "_low", "_high")))
