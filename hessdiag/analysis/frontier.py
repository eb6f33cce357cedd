"""Bias against standard deviation of the estimators of the n-step meta-gradient, by their cost.

All sizes are relative to the standard deviation of a single n-step estimate, entry by entry of η,
so that entries of different scales count alike.
"""

from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import averaged, logs, over_seeds, table
from hessdiag.analysis.average import columns as columns_of
from hessdiag.analysis.findings import FAILS, HOLDS, Answer, Quantity
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.questions import Measured, answer, exact, overlapping, quantity
from hessdiag.statistics import Bias, squared_bias
from hessdiag.statistics.candidates import REFERENCE

_VARIABLES = tuple(
    f"candidate_{name}" for name in ("mean", "std", "bias", "bias_error", "rollouts")
)


def frontier_table(of: Configuration) -> pd.DataFrame:
    """A row per estimator: standard deviation at equal rollouts, bias, and the two together.

    - std: as if as many estimates were averaged as the rollouts of one n-step estimate pay for, a
      fraction of one included; geometric mean over meta-parameters and probes;
    - noise: the same as root of the mean square, which weighs the noisiest entries most;
    - bias: the mean difference to the n-step estimate, root of the mean square, without what
      sampling adds; bias_floor is what sampling adds;
    - bias_of_mean: the bias over the n-step mean; NaN where that is not surely there;
    - rmse: √(bias² + noise²), see `_errors`: below 1, the estimator is nearer to the mean of the
      n-step meta-gradient than a single n-step estimate, at the same number of rollouts.
    """
    data = of.having(*_VARIABLES)
    if data is None:
        return pd.DataFrame()
    sizes = _relative(data).map(of.by_phase)
    average = over_seeds(sizes.signal, confidence=of.confidence)
    sizes["bias_of_mean"] = sizes.bias / average.value.where(average.low > 0)
    quantities = {
        "std": (sizes.log_std, np.exp),
        "noise": (sizes.variance, _root),
        "bias": (sizes.bias, _root),
        "bias_of_mean": (sizes.bias_of_mean, _root),
    }
    columns = averaged(quantities, confidence=of.confidence, counted="noise")
    columns = columns.assign(_errors(sizes, of.confidence).data_vars)
    columns["bias_floor"] = _root(over_seeds(sizes.bias_floor, confidence=of.confidence).value)
    rollouts = data.candidate_rollouts.max(("seed", "iteration"))
    rows = table(columns.assign(rollouts=rollouts), "when", "candidate")
    return rows.astype({"rollouts": int}).query("count > 0").reset_index(drop=True)


def _relative(data: xr.Dataset) -> xr.Dataset:
    """(seed, iteration, candidate): squares over the variance of one n-step estimate.

    Means over meta-parameters, those without any n-step variance left out.
    """
    reference = data.sel(candidate=REFERENCE, drop=True)
    variance = reference.candidate_std**2
    variance = variance.where(variance > 0)
    cost = data.candidate_rollouts / reference.candidate_rollouts
    equal = cost * data.candidate_std**2 / variance
    bias = squared_bias(Bias(data.candidate_bias, data.candidate_bias_error)) / variance
    signal = reference.candidate_mean**2 / variance - 1.0 / data.samples
    sizes = {
        "log_std": logs(equal) / 2.0,
        "variance": equal,
        "bias": bias,
        "bias_floor": data.candidate_bias_error**2 / variance,
        "signal": signal,
    }
    return xr.Dataset({name: size.mean("meta_parameter") for name, size in sizes.items()})


def _errors(sizes: xr.Dataset, confidence: float) -> xr.Dataset:
    """Root of bias² + noise², with ends; where the estimate of bias² is negative it counts as zero.

    The whole interval is then moved up: an estimator is not better for the noise of its bias.
    """
    total = over_seeds(sizes.bias + sizes.variance, confidence=confidence)
    bias = over_seeds(sizes.bias, confidence=confidence).value
    moved = total[["value", "low", "high"]] + (bias.clip(min=0.0) - bias)
    return columns_of(moved, "rmse", _root)


def _root(square: Any) -> Any:
    """The root of a square's estimate; zero where noise made it negative."""
    return square.clip(min=0.0) ** 0.5


def best_estimator(of: Measured) -> Answer:
    """Whether some estimator is surely nearer to the n-step mean, at equal rollouts.

    Named is the one whose upper end is the lowest.
    """
    rows = [row for row in of.rows["frontier"] if np.isfinite(row["rmse"])]
    others = [row for row in rows if row["candidate"] != REFERENCE]
    if not others:
        return answer()
    surely = [row for row in others if row["rmse_high"] < 1.0]
    with_ends = [row for row in others if np.isfinite(row["rmse_high"])]
    best = min(with_ends or others, key=itemgetter("rmse_high" if with_ends else "rmse"))
    error = quantity(best, "rmse")
    options: dict[str, Any] = {
        "numbers": _numbers(best, error) | {"surely_of": exact(len(surely))},
        "labels": {"best": best["candidate"]},
    }
    if surely:
        return answer(HOLDS, "nearer", **options)
    if all(row["rmse_low"] >= 1.0 for row in others):
        return answer(FAILS, "none-nearer", **options)
    return overlapping(error, 1.0, **options)


def _numbers(row: Any, error: Quantity) -> dict[str, Quantity]:
    noise, bias = (quantity(row, name) for name in ("noise", "bias"))
    return {"rmse": error, "noise": noise, "bias": bias, "bias_most": exact(bias.high)}
