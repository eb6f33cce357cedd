"""The spread of meta-gradients with more entries than have names."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from hessdiag.analysis.frames import rows
from hessdiag.analysis.spread import spread_table
from tests.analysis.building import CONFIG, of_probes

ENTRIES = 70


def probe(growth):
    dims = ("estimator", "horizon", "meta_parameter")
    shape = (1, 2, ENTRIES)
    return xr.Dataset(
        {
            "growth": (dims[:2], [[1.0, growth]]),
            "mean": (dims, np.full(shape, 2.0)),
            "std": (dims, np.full(shape, 1.0)),
            "bias": (dims, np.zeros(shape)),
            "bias_error": (dims, np.ones(shape)),
            "samples": 5,
        },
        coords={
            "estimator": ["n-step"],
            "horizon": [1, 2],
            "meta_parameter": [f"table[{k}]" for k in range(ENTRIES)],
        },
        attrs={"iteration": 1, "samples": 5},
    )


@pytest.mark.parametrize("named", [0, 2])
def test_without_names_there_is_a_spread_of_all_and_of_no_group(named):
    made = of_probes([[probe(2.0)], [probe(8.0)]])
    names = [{"name": f"table[{k}]", "group": None} for k in range(named)]
    config = CONFIG | {"meta_parameters": names}
    cells = [
        dataclasses.replace(cell, run=dataclasses.replace(cell.run, config=config))
        for cell in made.cells
        if cell.run
    ]
    table = rows(spread_table(dataclasses.replace(made, cells=cells)))
    whole = [row for row in table if row["when"] == "all" and row["horizon"] == 2]
    assert [row["group"] for row in whole] == ["all", "table[0]", "table[1]"][: 1 + named]
    assert whole[0]["growth"] == pytest.approx(4.0)
