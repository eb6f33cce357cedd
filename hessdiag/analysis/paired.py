"""Ends of training of configurations that differ in one setting alone, seed by seed."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from hessdiag.analysis.average import columns, over_seeds
from hessdiag.analysis.learning import ends_by_seed
from hessdiag.analysis.measured import Configuration

_NOT_COMPARED = ("seed", "env")


def paired_table(configurations: Sequence[Configuration], varied: Sequence[str]) -> pd.DataFrame:
    """What a setting of two values changes at the end of training, all else being equal.

    Seeds are paired, as those of the same number start alike. A row per pair and series has the
    later configuration, both values of the setting, and the difference with Student's interval.
    """
    rows = []
    for key, first, second in _pairs(configurations, varied):
        earlier, later = ends_by_seed(first), ends_by_seed(second)
        seeds = earlier.index.intersection(later.index)
        if len(seeds):
            apart: Any = later.loc[seeds] - earlier.loc[seeds]
            about = {"configuration": second.name, "setting": key}
            about |= {"value": str(second.settings[key]), "other": str(first.settings[key])}
            rows += [about | numbers for numbers in differences(apart, first.confidence)]
    return pd.DataFrame(rows)


def _pairs(
    configurations: Sequence[Configuration], varied: Sequence[str]
) -> Iterator[tuple[str, Configuration, Configuration]]:
    """The setting, and two configurations that differ in it alone."""
    keys = [key for key in varied if key != "seed"]
    held = {of.name: [str(of.settings[key]) for key in keys] for of in configurations}
    for place, key in enumerate(keys):
        values = {values[place] for values in held.values()}
        if key in _NOT_COMPARED or len(values) != 2:
            continue
        for first, second in itertools.combinations(configurations, 2):
            a, b = held[first.name], held[second.name]
            if [i for i in range(len(keys)) if a[i] != b[i]] == [place]:
                yield key, first, second


def differences(apart: pd.DataFrame, confidence: float) -> Iterator[dict[str, Any]]:
    """Mean and Student's interval of paired differences: a row per series, from a row per seed."""
    values = xr.DataArray(apart.to_numpy(float), dims=("seed", "series"))
    average = over_seeds(values.expand_dims("iteration"), confidence=confidence)
    numbers = columns(average, "difference").assign(seeds=average["count"])
    for place, series in enumerate(apart.columns):
        row = numbers.isel(series=place)
        yield {"series": str(series), **{str(name): row[name].item() for name in row.data_vars}}
