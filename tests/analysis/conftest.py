from typing import Any

import pytest
from hessdiag.report.studies import write_study_report

from hessdiag.analysis import study_results
from hessdiag.study import Grid, Study, StudyDirectory, StudyObserver
from hessdiag.train.interrupt import StopRequest
from tests.train.compilation_cache import compilation_cache
from tests.train.driving import TINY

__all__ = ["compilation_cache"]

COMMON: dict[str, Any] = {key: value for key, value in TINY.items() if key not in ("n", "probe.at")}
COMMON |= {
    "n": 1,
    "train.iterations": 8,
    "probe.n": 3,
    "probe.at": [1, 5],
    "probe.samples": 5,
    "probe.chunk": 5,
    "probe.nested": 3,
    "probe.counterfactuals": ["no-hessian", "no-memory"],
}
GRID = Grid(COMMON, {"learning.optimiser": ["adam", "sgd"], "seed": [0, 1, 2]})


@pytest.fixture(scope="package")
def study(tmp_path_factory) -> StudyDirectory:
    """A finished study of two optimisers with all its results."""
    path = tmp_path_factory.mktemp("results") / "study"
    directory = StudyDirectory.create(path, GRID, {"command": "hessdiag study"}, name="tiny")
    cells = GRID.cells()

    def conclude():
        directory.write_results(study_results(directory, cells))
        write_study_report(path)

    with StopRequest() as stop:
        Study(
            directory,
            cells,
            command="hessdiag study",
            observer=StudyObserver(),
            stop=stop,
            publish=lambda _: None,
            conclude=conclude,
        ).go()
    return directory


@pytest.fixture(scope="package")
def tables(study):
    return study_results(study, GRID.cells())["tables"]
