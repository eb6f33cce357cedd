"""Processes of a study: killed at random moments, stopped, left alone; nothing differs."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from hessdiag.cores import usable_cores
from hessdiag.record.lock import is_held
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.processes import _run, elsewhere, processes
from hessdiag.study.task import Task
from tests.study import on_workers
from tests.study.on_workers import (
    CELLS,
    assert_same_and_reported_elsewhere,
    kill_on_the_way,
    lines,
    published,
    run_in_one_process,
    stop_soon,
    study,
)

ALONE = """
import sys
from pathlib import Path
from hessdiag.study.processes import processes
from tests.study.on_workers import published, study

if __name__ == "__main__":
    with processes(2, 1, published) as executor:
        study(Path(sys.argv[1]), executor).go()
"""


@pytest.mark.slow
def test_stopped_and_killed_at_random_moments_every_cell_is_the_same(tmp_path):
    """As if one process had run them, bit for bit: on as many cores."""
    run_in_one_process(tmp_path / "one")
    with processes(2, len(usable_cores()), published) as executor:
        stop_soon(tmp_path / "two", executor)
    with processes(2, len(usable_cores()), published) as executor:
        kill_on_the_way(tmp_path / "two", executor)
    assert_same_and_reported_elsewhere(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_processes_end_with_the_study_that_began_them(tmp_path):
    """It is killed while they work: soon its directories are free."""
    begun = subprocess.Popen([sys.executable, "-c", ALONE, tmp_path / "study"])
    while lines(tmp_path / "study") < 2:
        assert begun.poll() is None
        time.sleep(0.01)
    left = psutil.Process(begun.pid).children(recursive=True)
    begun.kill()
    begun.wait()
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive
    assert not [
        cell for cell in CELLS if is_held(StudyDirectory(tmp_path / "study").run_path(cell))
    ]


def lost(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_process_that_is_lost_again_and_again_is_given_up(tmp_path, monkeypatch):
    """Every report ends its process, after the run has finished: the study makes it."""
    monkeypatch.setattr("hessdiag.study.elsewhere.MOST_LOSSES", 2)
    monkeypatch.setattr(on_workers, "CELLS", CELLS[:1])
    made = []
    with processes(1, 1, lost) as executor:
        assert study(tmp_path / "study", executor, publish=made.append).go() == 0
    assert made == [StudyDirectory(tmp_path / "study").run_path(CELLS[0])]


def test_what_a_process_cannot_run_is_told(tmp_path):
    end = _run(Task(tmp_path / "nothing", ("no cell",), "hessdiag study"), published)  # pyright: ignore
    assert end.statuses is None
    assert end.failure is not None
    assert "AttributeError" in end.failure.message


def test_cores_are_spread_over_processes():
    usable = usable_cores()
    with processes(len(usable), 1, published) as executor:
        assert [worker.cores for worker in executor.workers] == [[core] for core in usable]
    with processes(2, len(usable), published) as executor:
        assert [sorted(worker.cores) for worker in executor.workers] == [usable, usable]


def usable() -> tuple[int, list[int]]:
    return os.getpid(), usable_cores()


def test_a_function_may_be_called_on_cores_like_those_of_tasks():
    with elsewhere(0) as call:
        assert call(usable) == (os.getpid(), usable_cores())
    with elsewhere(1) as call:
        process, cores = call(usable)
        assert process != os.getpid()
        assert cores == usable_cores()[:1]
        assert call(usable) == (process, cores)
        with pytest.raises(OSError, match="was killed"):
            call(lost, None)
