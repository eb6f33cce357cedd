"""Curves of training: means over seeds of losses, returns and hyper-parameters."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.average import columns, over_seeds, table
from hessdiag.analysis.measured import Configuration
from hessdiag.record.run_directory import RunRecord

BLOCKS = 120  # points of a curve
LAST = 0.05  # share of training that counts as its end


def learning_table(of: Configuration) -> pd.DataFrame:
    """Block means along training, averaged over seeds."""
    curves = [
        xr.DataArray(curve, dims=("at", "series")).expand_dims(seed=[cell.seed])
        for cell in of.cells
        if cell.run and len(curve := _blocks(cell.run, cell.iterations))
    ]
    if not curves:
        return pd.DataFrame()
    values: Any = xr.concat(curves, "seed", join="outer")
    average = over_seeds(values.expand_dims("iteration"), confidence=of.confidence)
    average = average.rename(at="iteration")
    return table(_named(average, "mean"), "series", "iteration")


def final_table(of: Configuration) -> pd.DataFrame:
    """Every series at the end of training: mean over its last part, then over seeds."""
    ends = ends_by_seed(of)
    axes = {"series": [*ends.columns]}
    values = xr.DataArray(ends.to_numpy(float), dims=("seed", "series"), coords=axes)
    average = over_seeds(values.expand_dims("iteration"), confidence=of.confidence)
    return table(_named(average, "final"), "series")


def ends_by_seed(of: Configuration) -> pd.DataFrame:
    """The end of every series, a row per seed whose run has finished."""
    names = [str(name) for name in _series(of.runs[0])]
    ends = {
        cell.seed: _last(_series(cell.run))[names].to_numpy(float)
        for cell in of.cells
        if cell.run and cell.status.state == "finished" and len(cell.run.metrics)
    }
    numbers = np.reshape([*ends.values()], (-1, len(names)))
    return pd.DataFrame(numbers, index=pd.Index([*ends], name="seed"), columns=names)


def _named(average: xr.Dataset, name: str) -> xr.Dataset:
    counted = average[["deviation", "count"]].rename(count="seeds")
    return xr.merge([columns(average, name), counted])


def _series(run: RunRecord) -> pd.DataFrame:
    """Headline, inner loss, the metrics followed besides, and the hyper-parameters by group."""
    metrics, problem = run.metrics, run.config["problem"]
    nowhere = pd.Series(np.nan, index=metrics.index)
    keys = {problem["headline"]: f"metrics.{problem['headline']}", "inner loss": "inner_loss"}
    keys |= {name: f"metrics.{name}" for name in problem.get("followed", ())}
    series = {name: metrics.get(key, nowhere) for name, key in keys.items()}
    for group, names in run.groups.items():
        series[group] = metrics.reindex(columns=[f"hyper.{name}" for name in names]).mean(axis=1)
    iterations = pd.Index(metrics.get("iteration", []), name="iteration")
    return pd.DataFrame(series).set_index(iterations)


def _last(series: pd.DataFrame) -> Any:
    """Means over the last part of training, of the iterations that were told of."""
    return series.loc[int((1 - LAST) * (series.index[-1] + 1)) :].mean()


def _blocks(run: RunRecord, iterations: int) -> pd.DataFrame:
    """Means of equal blocks of training that are whole, by the mean iteration told of in them."""
    series = _series(run)
    if not len(series):
        return series
    edges = np.unique(np.linspace(0, iterations, BLOCKS + 1).astype(int))
    edges = edges[edges <= series.index[-1] + 1]
    block = np.searchsorted(edges, series.index, side="right") - 1
    means: Any = series.reset_index().groupby(block).mean()
    return means[means.index < len(edges) - 1].set_index("iteration")
