"""A study is killed, at many moments, and goes on as if nothing had been."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.grid import Grid
from tests.study import on_workers
from tests.study.driving import drive
from tests.train.driving import assert_same_but_for_rounding

SETTINGS = on_workers.SETTINGS | {"train.iterations": 6}
GRID = Grid(SETTINGS, {"n": [1, 2], "seed": [0, 1]})
COMMAND = [
    "study",
    *("--workers", "1"),
    *("--env", "mrp", "--n", "1,2", "--seed", "0:2"),
    *(
        word
        for key, value in SETTINGS.items()
        if key != "env"
        for word in ("--set", f"{key}={value}")
    ),
]
# The moment that a look from outside would miss: inside the making of the second cell.
KILLED_INSIDE = """
import os, signal, sys
from hessdiag.cli.main import main
from hessdiag.record.run_directory import RunDirectory

write = RunDirectory.write_json
made = []

def write_json(self, name, document, **more):
    if name == "config.json":
        made.append(name)
        if len(made) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    write(self, name, document, **more)

RunDirectory.write_json = write_json
sys.argv[0] = "hessdiag"
main()
"""


def kill_when(process: subprocess.Popen, moment: Callable[[], bool]) -> None:
    """Kill a process at a moment, which comes before its end."""
    while not moment():
        assert process.poll() is None, "it ended before the moment"
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> StudyDirectory:
    directory = StudyDirectory.create(tmp_path_factory.mktemp("study") / "study", GRID, {})
    drive(directory, GRID)
    return directory


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_nothing_had_been(cli, spawn, undisturbed, tmp_path):
    path = tmp_path / "study"
    cells = [path / "cells" / cell.slug for cell in GRID.cells()]
    inside = subprocess.run([sys.executable, "-c", KILLED_INSIDE, *COMMAND, "--out", path])
    assert inside.returncode == -signal.SIGKILL
    assert [cell.exists() for cell in cells] == [True, False, False, False]

    go_on = ("study", "--resume", path)
    kill_when(spawn(*go_on), lambda: lines(cells[0] / "metrics.jsonl") >= 2)
    kill_when(spawn(*go_on), (cells[2] / "summary.json").exists)

    done = cli(*go_on, "--quiet")
    assert done == (0, f"{path}\n", "")
    for cell, actual in zip(GRID.cells(), cells, strict=True):
        assert_same_but_for_rounding(actual, undisturbed.run_path(cell))
        assert (actual / "report.html").is_file()
    assert (path / "report.html").is_file()
    assert sorted((path / "cells").iterdir()) == sorted(cells)
