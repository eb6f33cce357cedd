"""The terms of eq. 11 at one probe: their size, and what it is made of."""

import xarray as xr

from hessdiag.report.numbers import plain
from hessdiag.report.probes import having
from hessdiag.report.tables.table import Table


def term_table(probe: xr.Dataset) -> Table | None:
    """A row per inner step at the longest horizon measured.

    Args:
        probe: One probe.

    Returns:
        Spread of the term, what T reads of the step's gradient, its factors where they were
        measured; None without terms.
    """
    if not having([probe], "contribution", "term_reach"):
        return None
    at = probe.isel(cut_horizon=-1)
    columns = {
        "std of the term": at["contribution"].std("sample", ddof=1).mean("meta_parameter"),
        "read": at["term_reach"],
    }
    if having([probe], "path_alignment"):
        columns["‖G‖"] = probe["path_norm"].mean("operator_unroll")
        columns["|alignment|"] = _size(probe["path_alignment"])
    if having([probe], "eq11_alignment"):
        columns["‖P_i‖ − 1"] = (probe["eq11_product_norm"] - 1.0).mean("operator_unroll")
        columns["‖N_i‖"] = probe["eq11_mixed_norm"].mean(("operator_unroll", "meta_parameter"))
        columns["|alignment|, eq. 11"] = _size(probe["eq11_alignment"])
    horizon = int(at["cut_horizon"])
    rows = [
        (str(j), *(plain(float(values.isel(inner_step=j))) for values in columns.values()))
        for j in range(horizon)
    ]
    return Table(("inner step j", *columns), rows)


def _size(alignment: xr.DataArray) -> xr.DataArray:
    return abs(alignment).mean(("operator_unroll", "meta_parameter"))
