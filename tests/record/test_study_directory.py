"""A study's directory may come from anywhere: its cells are inside it, and are its own."""

import json
import shutil

import pytest

from hessdiag.errors import UsageError
from hessdiag.record.documents import write_document
from hessdiag.record.study_directory import StudyDirectory, read_study
from hessdiag.study.grid import Grid
from hessdiag.study.task import Task
from tests.train.driving import TINY, fresh

COMMON = {key: value for key, value in TINY.items() if key != "seed"}
GRID = Grid(COMMON, {"seed": [0, 1]})


@pytest.fixture
def study(tmp_path) -> StudyDirectory:
    return StudyDirectory.create(tmp_path / "study", GRID, {})


@pytest.mark.parametrize(
    "cell",
    [
        {"slug": "../../outside"},
        {"slug": "/etc"},
        {"slug": ".."},
        {"slug": "a\x00b"},
        {"slug": "a" * 300},
        {"seed": "0"},
        {"iterations": None},
        {"cell": 3},
    ],
)
def test_cells_that_are_none_are_refused(study, cell):
    document = study.document
    write_document(study.path / "study.json", document | {"cells": [document["cells"][0] | cell]})
    with pytest.raises(UsageError, match=r"study\.json: damaged \(cells"):
        read_study(study.path)


def test_an_edited_study_is_refused(study):
    file = study.path / "study.json"
    file.write_text(file.read_text().replace('"mrp"', '"snake"'))
    with pytest.raises(UsageError, match=r"study\.json: damaged \("):
        StudyDirectory.open(study.path)


def test_a_run_of_another_cell_is_refused(study, tmp_path):
    cells = GRID.cells()
    other = fresh(tmp_path / "other", COMMON | {"seed": 1})
    shutil.copytree(other, study.run_path(cells[0]))
    with pytest.raises(UsageError, match=r"config\.json: damaged \(seed is 1 and not 0"):
        read_study(study.path)
    summary = json.loads((study.run_path(cells[0]) / "summary.json").read_text())
    write_document(study.run_path(cells[0]) / "summary.json", summary | {"status": "running"})
    statuses = Task(study.path, (cells[0],), "hessdiag study")()
    assert statuses[cells[0].slug].state == "failed"
    assert "seed is 1 and not 0" in str(statuses[cells[0].slug].message)


def test_a_cell_without_its_summary_is_not_taken_for_one_that_waits(study):
    cells = GRID.cells()
    assert [cell.status.state for cell in read_study(study.path).cells] == ["waiting", "waiting"]
    fresh(study.run_path(cells[0]), COMMON | {"seed": 0})
    assert [cell.status.state for cell in read_study(study.path).cells] == ["finished", "waiting"]
    (study.run_path(cells[0]) / "summary.json").unlink()
    with pytest.raises(UsageError, match=r"summary\.json: missing"):
        read_study(study.path)


def test_the_plan_of_another_study_is_refused(study, tmp_path):
    fresh(study.run_path(GRID.cells()[0]), COMMON | {"seed": 0})
    changed = Grid(COMMON | {"learning.learning_rate": 0.002}, GRID.varied)
    other = StudyDirectory.create(tmp_path / "other", changed, {})
    shutil.copy(other.path / "study.json", study.path)
    with pytest.raises(
        UsageError, match=r"config\.json: damaged \(learning.learning_rate is .* 0.0"
    ):
        read_study(study.path)
