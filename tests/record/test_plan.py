"""Runs of a study are held against its plan; what it plans in other words is no other thing."""

import json

import pytest

from hessdiag.record.plan import departure
from hessdiag.study.grid import STUDIES, Grid, planned
from hessdiag.train.settings import flatten


def departures(held: Grid, said: Grid) -> list[str]:
    """Of each cell of one grid, what the other plans otherwise; both as they are in files."""
    common, varied = json.loads(json.dumps([said.common, said.varied]))
    names = [cell.name for cell in said.cells()]
    return [
        departure(json.loads(json.dumps(flatten(cell.settings))), name, common, varied)
        for cell, name in zip(held.cells(), names, strict=True)
    ]


@pytest.mark.parametrize("name", STUDIES)
def test_cells_of_the_studies_that_ship_are_as_planned(name):
    grid = planned(name, None, {}, {})
    assert not any(departures(grid, grid))


@pytest.mark.parametrize(
    "grid",
    [
        Grid({"env": "mrp", "n": 2, "learning.learning_rate": 1, "probe.at": []}, {"seed": [0]}),
        Grid({"env": "mrp", "learning.keep": 1, "probe.counterfactuals": "all"}, {"n": [1, 10]}),
        Grid({"env": "mrp"}, {"probe.counterfactuals": [["no-memory", "neither"], []]}),
        Grid({"env": "mrp", "where.n.5.learning.learning_rate": 0.5}, {"n": [1, 5]}),
        Grid({"env": "mrp", "where.n.5.learning.learning_rate": 0.5, "n": 5}, {}),
    ],
)
def test_what_is_written_otherwise_is_as_planned(grid):
    assert not any(departures(grid, grid))


@pytest.mark.parametrize(
    ("held", "said", "key"),
    [
        (
            Grid({"env": "mrp", "n": 2, "learning.learning_rate": 0.1}),
            Grid({"env": "mrp", "n": 2, "learning.learning_rate": 0.2}),
            "learning.learning_rate is 0.1 and not 0.2",
        ),
        (
            Grid({"env": "mrp"}, {"n": [1, 5]}),
            Grid({"env": "mrp"}, {"n": [1, 10]}),
            "n is 5 and not 10",
        ),
        (
            Grid({"env": "mrp", "where.n.5.learning.learning_rate": 0.5}, {"n": [1, 5]}),
            Grid({"env": "mrp", "where.n.5.learning.learning_rate": 0.1}, {"n": [1, 5]}),
            "learning.learning_rate is 0.5 and not 0.1",
        ),
        (
            Grid({"env": "mrp"}, {"n": [5, 1]}),
            Grid({"env": "mrp"}, {"n": [1, 5]}),
            "its cell is 'n=1' and not 'n=5'",
        ),
    ],
)
def test_what_is_otherwise_is_told(held, said, key):
    assert [told for told in departures(held, said) if told][-1] == key
