"""A study on workers that are stopped, and killed at random moments."""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study.elsewhere import Elsewhere
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study, local
from hessdiag.study.task import StudyObserver
from hessdiag.train.interrupt import Interrupted, StopRequest

SETTINGS = {
    "env": "mrp",
    "train.iterations": 80,
    "train.checkpoint_minutes": 0,  # one after every iteration
    "probe.points": 0,
    "problem.batch_size": 3,
}
GRID = Grid(SETTINGS, {"n": [1, 2], "seed": [0, 1]})
CELLS = tuple(GRID.cells())
KILLS = 3


class Heard(StudyObserver):
    """What a study was told, and what to do then."""

    def __init__(self, then=lambda: None):
        self.states, self._then = [], then

    def on_cell(self, cell, status):
        self.states.append((cell.slug, status.state))
        self._then()


def study(path, executor, *, publish=None, observer=None, stop=None):
    directory = StudyDirectory(path)
    if not path.exists():
        directory = StudyDirectory.create(path, GRID, {})
    return Study(
        directory,
        CELLS,
        command="hessdiag study",
        observer=observer or StudyObserver(),
        stop=stop or StopRequest(),
        publish=publish or (lambda path: pytest.fail(f"{path.name}: not by its worker")),
        together=1,
        executor=executor,
    )


def lines(path) -> int:
    files = path.glob("cells/*/metrics.jsonl")
    return sum(file.read_bytes().count(b"\n") for file in files)


def workers():
    """The processes that run tasks; not what watches over them."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def kill_at_random(path, killed, until):
    """Kill a worker, time after time, soon after lines were written."""
    draw = random.Random(0)
    while len(killed) < KILLS and not until.is_set():
        before = lines(path)
        while lines(path) == before and not until.is_set():
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.5))
        for worker in draw.sample(found := workers(), min(1, len(found))):
            with contextlib.suppress(psutil.Error):
                worker.kill()
                killed.append(lines(path))


def published(path):
    """The report of a run, made on its worker."""
    (path / "report.html").write_text(f"{os.getpid()}")


def run_in_one_process(path: Path) -> None:
    """What all others are compared with."""
    assert study(path, local, publish=lambda _: None).go() == 0


def stop_soon(path: Path, executor: Elsewhere) -> None:
    """Run a study until a cell has begun; all of them save what they did."""
    stop = StopRequest()
    heard = Heard(lambda: setattr(stop, "signal_number", signal.SIGTERM))
    with pytest.raises(Interrupted):
        study(path, executor, observer=heard, stop=stop).go()
    assert "running" in {state for _, state in heard.states}
    states = {StudyDirectory(path).status(cell).state for cell in CELLS}
    assert "running" not in states
    assert "interrupted" in states


def kill_on_the_way(path: Path, executor: Elsewhere) -> None:
    """Run a study to its end while its workers are killed."""
    killed, over = [], threading.Event()
    killer = threading.Thread(target=kill_at_random, args=(path, killed, over))
    killer.start()
    failed = study(path, executor).go()
    over.set()
    killer.join()
    assert failed == 0
    assert len(killed) == KILLS
    assert max(killed) < SETTINGS["train.iterations"] * len(CELLS)  # before the end
    assert not (path / ".stop").exists()


def assert_same_and_reported_elsewhere(ours: Path, theirs: Path) -> None:
    """Every cell's lines are those of one process, bit for bit; its report is a worker's."""
    for cell in CELLS:
        one, other = (path / "cells" / cell.slug for path in (ours, theirs))
        written = (one / "metrics.jsonl").read_bytes()
        assert written.count(b"\n") == SETTINGS["train.iterations"]
        assert (other / "metrics.jsonl").read_bytes() == written
        assert int((other / "report.html").read_text()) != os.getpid()
