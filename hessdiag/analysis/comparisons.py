"""Every prediction of the growth beside its measurement, probe by probe."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.measured import KEPT, Configuration
from hessdiag.analysis.spread import expected_of_mixes

ESTIMATORS = ("n-step", "mix")
SENSITIVITY = "measured |∂θ/∂η|"
PLACE = ("seed", "iteration", "when")
ENDS = ("measured", "measured_low", "measured_high")


class Evidence(NamedTuple):
    """What is compared: P probes at H horizons beyond the first."""

    horizons: Sequence[int]
    measured: np.ndarray  # (P, H) growth of its meta-gradients
    predicted: Mapping[str, np.ndarray]  # (P, H) by explanation
    seeds: Sequence[int]  # (P,)
    yardstick: Mapping[str, np.ndarray]  # (P, H) the measured sensitivity; no prediction
    ends: np.ndarray  # (2, P, H) of the intervals of the measured growth; NaN where unknown


def comparison_table(of: Configuration) -> pd.DataFrame:
    """Growth and predictions of both estimators at kept horizons where every explanation spoke.

    Explanations speak of n-step meta-gradients; what follows for their mix is that of horizons
    which vary independently, since each is validated on trajectories of its own.
    """
    if "growth" not in of.probes or of.probes.sizes["horizon"] < 2:
        return pd.DataFrame()
    is_measured = np.isfinite(of.probes.growth).all(("estimator", "horizon"))
    probes = of.probes.isel(probe=is_measured)
    if not probes.sizes["probe"]:
        return pd.DataFrame()
    frames = [_of_estimator(probes, name, of).assign(estimator=name) for name in ESTIMATORS]
    return pd.concat(frames, ignore_index=True)


def _of_estimator(probes: xr.Dataset, estimator: str, of: Configuration) -> pd.DataFrame:
    predicted = _predictions(probes)
    if estimator == "mix":
        predicted = expected_of_mixes(predicted, of, coherent=False)
    kept = _kept_horizons(predicted)
    growth = probes[["growth", "growth_low", "growth_high"]].sel(estimator=estimator, drop=True)
    growth = growth.rename(dict(zip(growth.data_vars, ENDS, strict=True)))
    both = xr.merge([predicted.rename("predicted"), growth], compat="override")
    both = both.isel(horizon=kept)
    rows = both.to_dataframe(dim_order=["explanation", "probe", "horizon"]).reset_index()
    columns = [*PLACE, "horizon", "explanation", "predicted", *ENDS]
    return rows.loc[np.isfinite(rows["predicted"]), columns]


def _predictions(probes: xr.Dataset) -> xr.DataArray:
    """(probe, explanation, horizon), the measured sensitivity, which is none, behind them."""
    predicted = probes.prediction.transpose("probe", "explanation", "horizon")
    if "sensitivity_growth" not in probes:
        return predicted
    sensitivity = probes.sensitivity_growth.mean("sensitivity_sample")
    beside = sensitivity.expand_dims(explanation=[SENSITIVITY]).transpose(*predicted.dims)
    both: Any = xr.concat([predicted, beside], dim="explanation")
    return both


def _kept_horizons(predicted: xr.DataArray) -> list[int]:
    """Where every explanation spoke at every probe, but for those that never do."""
    labels = predicted.explanation.values.astype(str)
    spoke = np.isfinite(predicted.values[:, labels != SENSITIVITY]).all(axis=0)  # (E, n)
    silent = ~spoke.any(axis=1, keepdims=True)
    last = spoke.shape[1] - 1
    wanted = [k for k in range(1, last + 1) if k + 1 in KEPT or k == last]
    return [k for k in wanted if (spoke | silent)[:, k].all()]


def evidence(table: pd.DataFrame) -> Evidence | None:
    """What the comparisons of one configuration and estimator are of; None without any.

    Args:
        table: rows as `comparison_table` makes them; what they do not hold is NaN.
    """
    if table.empty:
        return None
    horizons = np.unique(table["horizon"])
    places: Any = table[[*PLACE]]
    probes = pd.MultiIndex.from_frame(places).unique().sort_values()

    def matrix(rows: pd.DataFrame, name: str) -> np.ndarray:
        """(P, H) a column of rows that differ in their place and horizon."""
        wide: Any = rows.set_index([*PLACE, "horizon"])[name].unstack("horizon")
        return wide.reindex(index=probes, columns=horizons).to_numpy(float)

    known = table.reindex(columns=table.columns.union(ENDS, sort=False))
    distinct = known.drop_duplicates([*PLACE, "horizon"], keep="last")
    measured = np.stack([matrix(distinct, end) for end in ENDS])
    predicted = {
        str(label): matrix(rows, "predicted")
        for label, rows in table.groupby("explanation", sort=False)
    }
    sensitivity = {name: predicted.pop(name) for name in [SENSITIVITY] if name in predicted}
    seeds = probes.get_level_values("seed").tolist()
    return Evidence(horizons.tolist(), measured[0], predicted, seeds, sensitivity, measured[1:])
