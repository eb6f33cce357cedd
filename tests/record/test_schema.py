"""The schema and a real run say the same, in both directions."""

import pytest
import xarray

from hessdiag.record.run_directory import RunDirectory
from hessdiag.record.schema import SAMPLES, SCHEMA, described
from tests.train.driving import TINY, fresh


@pytest.fixture(scope="module")
def probe(recorded_run) -> xarray.Dataset:
    return RunDirectory.open(recorded_run).read_probes()[-1]


ELSEWHERE = ("leaves", "loss-terms")
"""Chosen leaves are measured in loops of one's own alone: see tests/api/test_leaf_curvature.py.

Terms of the loss are measured of problems that have them: see below.
"""
OF_RUNS = [name for name, variable in SCHEMA.items() if variable.part not in ELSEWHERE]
OF_TERMS = [name for name, variable in SCHEMA.items() if variable.part == "loss-terms"]


@pytest.fixture(scope="module")
def of_terms(tmp_path_factory) -> xarray.Dataset:
    """A probe of a problem whose loss has terms."""
    settings = TINY | {"env": "chain", "n": 1, "probe.also": ["loss-terms"]}
    made = fresh(tmp_path_factory.mktemp("terms") / "run", settings)
    return RunDirectory.open(made).read_probes()[-1]


def test_a_problem_with_terms_has_their_variables_and_no_other_has(probe, of_terms):
    assert set(OF_TERMS) <= set(of_terms.data_vars)
    assert not set(OF_TERMS) & set(probe.data_vars)
    assert list(of_terms.loss_term.values) == ["policy", "entropy"]
    for name in OF_TERMS:
        as_the_schema_says(of_terms[name], name)


def test_a_run_has_every_variable_of_the_schema_and_no_other(probe):
    assert set(probe.data_vars) == set(OF_RUNS)


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_variable_is_as_the_schema_says(probe, name):
    as_the_schema_says(probe[name], name)


def as_the_schema_says(values: xarray.DataArray, name: str) -> None:
    variable = SCHEMA[name]
    assert values.dims == variable.dims
    assert values.attrs == {"long_name": variable.long_name, "units": variable.units}


def test_what_has_a_value_per_sample_is_known(probe):
    assert {name for name in probe.data_vars if "sample" in probe[name].dims} == SAMPLES


def test_what_the_schema_does_not_have_is_refused():
    with pytest.raises(KeyError, match="colour"):
        described({"colour": [1.0]})
