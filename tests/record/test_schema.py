"""The schema and a real run say the same, in both directions."""

import pytest
import xarray

from hessdiag.record.run_directory import RunDirectory
from hessdiag.record.schema import SAMPLES, SCHEMA, described


@pytest.fixture(scope="module")
def probe(recorded_run) -> xarray.Dataset:
    return RunDirectory.open(recorded_run).read_probes()[-1]


OF_RUNS = [name for name, variable in SCHEMA.items() if variable.part != "leaves"]
"""Chosen leaves are measured in loops of one's own alone: see tests/api/test_leaf_curvature.py."""


def test_a_run_has_every_variable_of_the_schema_and_no_other(probe):
    assert set(probe.data_vars) == set(OF_RUNS)


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_variable_is_as_the_schema_says(probe, name):
    variable = SCHEMA[name]
    assert probe[name].dims == variable.dims
    assert probe[name].attrs == {"long_name": variable.long_name, "units": variable.units}


def test_what_has_a_value_per_sample_is_known(probe):
    assert {name for name in probe.data_vars if "sample" in probe[name].dims} == SAMPLES


def test_what_the_schema_does_not_have_is_refused():
    with pytest.raises(KeyError, match="colour"):
        described({"colour": [1.0]})
