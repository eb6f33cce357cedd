from pathlib import Path
from typing import Any

import pytest

from hessdiag.analysis import Findings, findings
from hessdiag.analysis.frames import rows
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from tests.study.driving import drive
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
def study(made_once) -> StudyDirectory:
    """A finished study of two optimisers; tests must not change it."""
    return StudyDirectory.open(made_once("study", _run))


def _run(path: Path) -> None:
    directory = StudyDirectory.create(path, GRID, {"command": "hessdiag study"}, name="tiny")
    drive(directory, GRID)


@pytest.fixture(scope="package")
def found(study) -> Findings:
    """What it found."""
    return findings(study.path)


@pytest.fixture(scope="package")
def tables(found) -> dict[str, list[dict[str, Any]]]:
    """The rows of its tables."""
    return {name: rows(table) for name, table in found.tables.items()}
