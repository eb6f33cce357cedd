"""Whether the meta-gradient predicts what the outer loss does where η is moved."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import averaged, table
from hessdiag.analysis.findings import FAILS, HOLDS, UNDECIDED, Answer
from hessdiag.analysis.measured import ALL, Configuration
from hessdiag.analysis.questions import Measured, answer, exact, longest, overlapping, quantity

HELD, INNER, OWN = "held trajectories", "own inner trajectories", "own trajectories"
NEARLY_ALL = 0.9  # of the entries whose signs are sure: as many must agree
_SLOPE, _GRADIENT = "smoothness_slope", "smoothness_gradient"
_COUNTED = ("agree", "disagree", "undecided")


def smoothness_table(of: Configuration) -> pd.DataFrame:
    """Shares of the entries of η where slope and meta-gradient surely agree, by phase and horizon.

    A row for each response, horizon and group of entries. Signs are sure where both 95 % intervals
    of a probe leave out zero. `agreement` is the share of those alone that agree; `error` is the
    distance of slope and meta-gradient, over the slope, and `bend` that of the slopes at h and 2h:
    medians over the entries of a probe whose slope is sure, `noise` the median of the error's own
    95 % half-width.
    """
    data = of.having(_SLOPE, _GRADIENT)
    if data is None:
        return pd.DataFrame()
    entries, groups = _entries(data), _members(data.eta_direction, of)
    shares = entries[list(_COUNTED)].where(groups).mean("eta_direction")
    sizes = entries[["error", "noise", "bend"]].where(groups).median("eta_direction")
    decided = shares.agree + shares.disagree
    each = xr.merge([shares, sizes]).assign(agreement=shares.agree / decided.where(decided > 0))
    quantities = {str(name): (of.by_phase(part), None) for name, part in each.items()}
    rows = averaged(quantities, confidence=of.confidence, counted="undecided")
    found: Any = table(rows, "when", "response", "horizon", "group")
    return found[found["count"] > 0].reset_index(drop=True)


def _entries(data: xr.Dataset) -> xr.Dataset:
    """(seed, iteration, response, horizon, entry): what is told of every entry; NaN if unknown."""
    slope, gradient = data[_SLOPE], data[_GRADIENT]
    sure = abs(slope) > data[f"{_SLOPE}_error"]
    both = sure & (abs(gradient) > data[f"{_GRADIENT}_error"])
    same, known = slope * gradient > 0, np.isfinite(slope)
    size = abs(slope).where(sure)
    is_so = {"agree": both & same, "disagree": both & ~same, "undecided": ~both}
    return xr.Dataset(
        {name: part.astype(float).where(known) for name, part in is_so.items()}
        | {
            "error": abs(data.smoothness_difference) / size,
            "noise": data.smoothness_difference_error / size,
            "bend": abs(data[f"{_SLOPE}_wide"] - slope) / size,
        }
    )


def _members(directions: xr.DataArray, of: Configuration) -> xr.DataArray:
    """(group, entry) whether an entry is in a group; "all" has every one."""
    names = directions.values.astype(str)
    groups = {ALL: names} | {
        name: held for name, held in of.groups.items() if np.isin(names, list(held)).any()
    }
    inside = np.stack([np.isin(names, list(held)) for held in groups.values()])
    axes = {"group": [*groups], "eta_direction": directions}
    return xr.DataArray(inside, axes, [*axes])


def predictive(of: Measured) -> Answer:
    """Whether the n-step meta-gradient has the sign of what the outer loss does, nearly always.

    Asked of the entries whose signs are sure, at the longest horizon, on all trajectories that each
    η gives rise to.
    """
    last = longest([row for row in of.rows["smoothness"] if row["response"] == OWN])
    row = next((row for row in last if row["group"] == ALL), None)
    if row is None:
        return answer()
    numbers = {
        "share_agree": quantity(row, "agreement"),
        "share_decided": exact(1.0 - row["undecided"]),
        "share_error": quantity(row, "error"),
        "horizon": exact(row["horizon"]),
    }
    agreement = numbers["share_agree"]
    if not np.isfinite(agreement.value):
        return answer(UNDECIDED, "no-signs", numbers=numbers)
    if agreement.low > NEARLY_ALL:
        return answer(HOLDS, "agrees", numbers=numbers)
    if agreement.high < NEARLY_ALL:
        return answer(FAILS, "opposite" if agreement.high < 0.5 else "mixed", numbers=numbers)
    return overlapping(agreement, NEARLY_ALL, numbers=numbers)
