"""How cells are spread over cores."""

import pytest

from hessdiag.study.grid import TOGETHER, Grid
from hessdiag.study.split import Split


def cells(configurations: int, seeds: int):
    varied = {"n": list(range(1, configurations + 1)), "seed": list(range(seeds))}
    return Grid({"env": "mrp"}, varied).cells()


@pytest.mark.parametrize(
    ("configurations", "seeds", "workers", "usable", "expected"),
    [
        (1, 3, 1, 2, Split(TOGETHER, 0)),  # in the study's own process
        (1, 3, 2, 2, Split(2, 1)),  # two seeds here, one there
        (2, 3, 2, 2, Split(3, 1)),  # a configuration each
        (1, 3, 16, 16, Split(1, 5)),  # three processes with five cores each
        (1, 1, 16, 16, Split(1, 0)),  # one cell uses all cores
        (2, 3, 3, 2, Split(2, 1)),  # more are wanted than there are cores
        (4, 20, 4, 4, Split(TOGETHER, 1)),
        (3, 2, 4, 4, Split(1, 1)),
    ],
)
def test_every_process_has_something_to_do(configurations, seeds, workers, usable, expected):
    grid = cells(configurations, seeds)
    assert Split.of(grid, workers=workers, usable=usable) == expected


def test_what_is_said_of_seeds_together_holds():
    assert Split.of(cells(1, 6), workers=2, usable=2, together=6) == Split(6, 0)
    assert Split.of(cells(1, 6), workers=2, usable=2, together=3) == Split(3, 1)


@pytest.mark.parametrize(
    ("cores", "tasks", "usable", "expected"),
    [
        (0, 5, 4, 0),
        (1, 5, 4, 4),
        (1, 1, 4, 1),  # the last task of a study stays on its one core
        (2, 5, 4, 2),
        (4, 5, 2, 1),  # begun where there were more
    ],
)
def test_a_study_that_goes_on_keeps_its_split(cores, tasks, usable, expected):
    assert Split(1, cores).processes(tasks, usable=usable) == expected


def test_studies_from_before_it_was_kept():
    assert Split.kept({}) == Split()
    assert Split.kept({"split": {"together": 2, "cores": 1}}) == Split(2, 1)
