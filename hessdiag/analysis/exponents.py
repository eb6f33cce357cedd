"""Growth or chaos: how fast differences grow with each inner step, beside the noise.

The finite-time exponent of something that is stretched by s over k inner steps is log(s) / k.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import averaged, logs, table
from hessdiag.analysis.findings import HOLDS, Answer, Quantity
from hessdiag.analysis.frames import Row
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.questions import Measured, answer, carries, quantity
from hessdiag.analysis.remedies import MUCH

NOISE = "noise"
OWN, SAME = "twin, own trajectories", "twin, same trajectories"


class _Stretched(NamedTuple):
    """(seed, iteration) of the logarithm of a stretch, over so many inner steps."""

    name: str
    whole: xr.DataArray
    steps: int
    last: xr.DataArray  # the part of the last inner step; NaN where it is not known


def exponent_table(of: Configuration) -> pd.DataFrame:
    """Exponent and stretch of products, of T, of twins and of the noise, at the longest horizon.

    Products are those of the last n - 1 steps, and the most that they stretch anything; T goes back
    through all n. Twins and noise count from the first update on, over n - 1 steps: a first update
    under Adam may part twins by more than any later one, and no noise grows by it. `last` is the
    exponent of the last step alone, which falls where differences add up rather than multiply.
    `share` is what the logarithm is of that of the noise: of the seeds' mean logarithms, as in the
    table of cuts, and none where some seed's noise does not grow.
    """
    if not of.probes.data_vars or not (found := [*_stretched(of)]):
        return pd.DataFrame()
    names = pd.Index([one.name for one in found], name="exponent_of")
    log, last = (
        of.by_phase(_stacked([getattr(one, part) for one in found], names))
        for part in ("whole", "last")
    )
    steps = xr.DataArray([one.steps for one in found], {"exponent_of": names}, ["exponent_of"])
    quantities: dict[str, Any] = {
        "exponent": (log / steps, None),
        "last": (last, None),
        "stretch": (log, np.exp),
    }
    if NOISE in names:
        quantities["share"] = (_share(log), None)
    rows = averaged(quantities, confidence=of.confidence, counted="exponent").assign(steps=steps)
    return table(rows, "when", "exponent_of").query("count > 0").reset_index(drop=True)


def _stretched(of: Configuration) -> Iterator[_Stretched]:
    """Everything that was measured."""
    data, n = of.by_seed, of.by_seed.sizes.get("horizon", 0)
    if n < 2:
        return
    if "product_norm_minus_one" in data:
        norms = logs(1 + data.product_norm_minus_one).mean("operator_unroll")
        for operator in data.operator.values.astype(str):
            yield _along(f"norm, {operator}", norms.sel(operator=operator), "term")
    if "outer_stretch" in data:
        log = logs(data.outer_stretch).mean("operator_unroll")
        for operator in data.singular_operator.values.astype(str):
            whole = log.sel(singular_operator=operator)
            yield _Stretched(f"outer, {operator}", whole, n, np.nan * whole)
    if "twin_log_distance" in data:
        for twin in data.twin.values.astype(str):
            yield _along(f"twin, {twin}", data.twin_log_distance.sel(twin=twin), "horizon")
    if "growth" in data:
        yield _along(NOISE, logs(data.growth.sel(estimator="n-step")), "horizon")


def _along(name: str, log: xr.DataArray, axis: str) -> _Stretched:
    """From the first place along an axis to the last."""
    first, before, end = (log.isel({axis: place}) for place in (0, -2, -1))
    return _Stretched(name, end - first, log.sizes[axis] - 1, end - before)


def _stacked(arrays: Sequence[xr.DataArray], names: pd.Index) -> Any:
    return xr.concat([array.reset_coords(drop=True) for array in arrays], names)


def _share(log: xr.DataArray) -> xr.DataArray:
    if log.sizes["seed"] > 1:
        log = log.mean("iteration").expand_dims("iteration")
    noise = log.sel(exponent_of=NOISE, drop=True)
    return log / noise.where(~(noise <= 0.0).any(("seed", "iteration")))


def chaos(of: Measured) -> Answer:
    """Whether small differences grow as the noise does, by twins on trajectories of their own.

    Where they do, but surely less in the last step than in a step on average, differences add up:
    that is not the growth of chaos, which multiplies.
    """
    rows: dict[str, Row] = {row["exponent_of"]: row for row in of.rows["exponents"]}
    if not {OWN, NOISE} <= rows.keys() or not np.isfinite(rows[OWN]["stretch"]):
        return answer()
    own, noise = rows[OWN], rows[NOISE]
    numbers = {
        "share": quantity(own, "share"),
        "divergence": quantity(own, "stretch"),
        "growth": quantity(noise, "stretch"),
        "rate": _factor(quantity(own, "exponent")),
    }
    if SAME in rows:
        numbers["divergence_same"] = quantity(rows[SAME], "stretch")
    found = carries(numbers["share"], MUCH, numbers)
    last = _factor(quantity(own, "last"))
    if found.status == HOLDS and last.high < numbers["rate"].low:
        return answer(HOLDS, "slows", numbers=numbers | {"last_rate": last})
    return found


def _factor(exponent: Quantity) -> Quantity:
    """What an inner step multiplies by."""
    value, low, high = (float(np.exp(e)) for e in (exponent.value, exponent.low, exponent.high))
    return Quantity(value, low, high, exponent.over, exponent.count)
