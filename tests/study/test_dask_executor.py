"""Dask workers: killed at random moments, stopped, lost for good; nothing differs in the end."""

import contextlib
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from hessdiag.errors import UsageError
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study import dask_executor as dask
from hessdiag.study.dask_executor import DaskExecutor, dask_executor
from hessdiag.study.grid import Grid
from hessdiag.study.study import Study, local
from hessdiag.study.task import StudyObserver, Task
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


@pytest.mark.slow
def test_stopped_and_killed_at_random_moments_every_cell_is_the_same(tmp_path):
    """As if one process had run them, bit for bit."""
    assert study(tmp_path / "local", local, publish=lambda _: None).go() == 0
    path, stop = tmp_path / "dask", StopRequest()
    heard = Heard(lambda: setattr(stop, "signal_number", signal.SIGTERM))
    with dask_executor(2, None, published) as executor:
        with pytest.raises(Interrupted):
            study(path, executor, observer=heard, stop=stop).go()
        assert "running" in {state for _, state in heard.states}
        states = {StudyDirectory(path).status(cell).state for cell in CELLS}
        assert "running" not in states  # all of them saved what they did
        assert states != {"finished"}

        killed, over = [], threading.Event()
        killer = threading.Thread(target=kill_at_random, args=(path, killed, over))
        killer.start()
        failed = study(path, DaskExecutor(executor.client, published)).go()
        over.set()
        killer.join()
    assert failed == 0
    assert len(killed) == KILLS
    assert max(killed) < SETTINGS["train.iterations"] * len(CELLS)  # before the end
    assert not (path / ".stop").exists()
    for cell in CELLS:
        ours, theirs = (tmp_path / kind / "cells" / cell.slug for kind in ("local", "dask"))
        written = (ours / "metrics.jsonl").read_bytes()
        assert written.count(b"\n") == SETTINGS["train.iterations"]
        assert (theirs / "metrics.jsonl").read_bytes() == written
        assert int((theirs / "report.html").read_text()) != os.getpid()


def published(path):
    """The report of a run, made on its worker."""
    (path / "report.html").write_text(f"{os.getpid()}")


@dataclass(eq=False)
class Future:
    """One that has ended in an error, as often as it is sent."""

    error: Exception
    key: str = "task"

    def done(self):
        return True

    def result(self):
        raise self.error


@dataclass
class Client:
    """Sends everything to a worker that fails."""

    error: Exception
    sent: list = field(default_factory=list)

    def submit(self, function, task, publish, *, pure):
        assert (function, publish, pure) == (dask._on_worker, published, False)
        self.sent.append(task)
        return Future(self.error)

    def processing(self):
        return {}


@pytest.mark.parametrize(
    ("lost", "times"), [(True, dask.MOST_LOSSES), (False, 1)], ids=["lost", "broken"]
)
def test_what_no_worker_can_run_has_failed(tmp_path, monkeypatch, lost, times):
    """A lost worker is replaced, and not for ever; another error is told at once."""
    from distributed import KilledWorker

    monkeypatch.setattr(DaskExecutor, "_ended", lambda self: [*self._tasks])
    there: Any = SimpleNamespace(address="tcp://there")
    error = KilledWorker("task", there, 0) if lost else ImportError("no module of yours")
    client, path = Client(error), tmp_path / "study"
    assert study(path, DaskExecutor(client, published)).go() == len(CELLS)
    assert len(client.sent) == times * len(CELLS)
    status = StudyDirectory(path).status(CELLS[0])
    assert status.state == "failed"
    assert type(error).__name__ in str(status.message)


def test_a_task_that_is_to_stop_does_not_begin(tmp_path):
    path = tmp_path / "study"
    StudyDirectory.create(path, GRID, {})
    (path / ".stop").write_text(str(int(signal.SIGINT)))
    statuses = dask._on_worker(Task(path, CELLS, "hessdiag study"), published)
    assert {status.state for status in statuses.values()} == {"waiting"}
    assert not [*(path / "cells").iterdir()]


def test_where_no_scheduler_answers_it_is_said(monkeypatch):
    monkeypatch.setattr(dask, "_CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(UsageError, match=r"--scheduler: .*tcp://127\.0\.0\.1:1\b"),
        dask_executor(None, "tcp://127.0.0.1:1", published),
    ):
        pass


def test_without_dask_it_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    refused = pytest.raises(UsageError, match="--executor: dask needs")
    with refused, dask_executor(2, None, published):
        pass
