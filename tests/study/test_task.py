"""Tasks can be sent elsewhere, and run again without repeating anything."""

import pickle

import pytest

from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study
from hessdiag.study.task import StudyObserver, Task
from hessdiag.train.interrupt import StopRequest
from tests.train.driving import TINY, assert_same_but_for_rounding

GRID = Grid(TINY | {"train.iterations": 3, "probe.at": [], "probe.points": 0}, {"seed": [0, 1]})
CELLS = tuple(GRID.cells())


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> StudyDirectory:
    """A study that a task finished, from what was left of it by pickling."""
    path = tmp_path_factory.mktemp("study") / "study"
    directory = StudyDirectory.create(path, GRID, {})
    statuses = _sent(Task(path, CELLS, "hessdiag study"))()
    assert [statuses[cell.slug].state for cell in CELLS] == ["finished", "finished"]
    return directory


def _sent(task: Task) -> Task:
    return pickle.loads(pickle.dumps(task))


def _times(directory: StudyDirectory) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in directory.path.rglob("*")}


def test_a_task_that_has_finished_does_nothing(finished):
    before = _times(finished)
    statuses = Task(finished.path, CELLS, "hessdiag study")()
    assert [statuses[cell.slug].iteration for cell in CELLS] == [3, 3]
    assert _times(finished) == before


def test_an_executor_may_run_tasks_in_any_order_and_hear_of_nothing(finished, tmp_path):
    """As one does that sends them to other machines."""

    def elsewhere(tasks, observer, stop):
        del observer, stop
        for task in reversed([*tasks]):
            yield task, _sent(task)()

    states = []
    heard = StudyObserver()
    heard.on_cell = lambda cell, status: states.append((cell.slug, status.state))
    directory = StudyDirectory.create(tmp_path / "study", GRID, {})
    study = Study(
        directory,
        CELLS,
        command="hessdiag study",
        observer=heard,
        stop=StopRequest(),
        publish=lambda _: None,
        together=1,
        executor=elsewhere,
    )
    assert study.go() == 0
    assert states == [("seed1", "finished"), ("seed0", "finished")]
    for cell in CELLS:
        assert_same_but_for_rounding(directory.run_path(cell), finished.run_path(cell))
