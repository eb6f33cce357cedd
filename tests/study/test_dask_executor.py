"""Dask workers: killed at random moments, stopped, lost for good; nothing differs in the end."""

import signal
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from hessdiag.errors import UsageError
from hessdiag.record.study_directory import StudyDirectory
from hessdiag.study import dask_executor as dask
from hessdiag.study.dask_executor import DaskExecutor, dask_executor
from hessdiag.study.elsewhere import MOST_LOSSES, on_worker
from hessdiag.study.task import Task
from tests.study.on_workers import (
    CELLS,
    GRID,
    assert_same_and_reported_elsewhere,
    kill_on_the_way,
    published,
    run_in_one_process,
    stop_soon,
    study,
)


@pytest.mark.slow
def test_stopped_and_killed_at_random_moments_every_cell_is_the_same(tmp_path):
    """As if one process had run them, bit for bit."""
    run_in_one_process(tmp_path / "one")
    with dask_executor(2, None, published) as executor:
        stop_soon(tmp_path / "dask", executor)
        kill_on_the_way(tmp_path / "dask", DaskExecutor(executor.client, published))
    assert_same_and_reported_elsewhere(tmp_path / "one", tmp_path / "dask")


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
        assert (function, publish, pure) == (on_worker, published, False)
        self.sent.append(task)
        return Future(self.error)

    def processing(self):
        return {}


@pytest.mark.parametrize(
    ("lost", "times", "said"),
    [(True, MOST_LOSSES, f"{MOST_LOSSES} workers were lost"), (False, 1, "ImportError")],
    ids=["lost", "broken"],
)
def test_what_no_worker_can_run_has_failed(tmp_path, monkeypatch, lost, times, said):
    """A lost worker is replaced, and not for ever; another error is told at once."""
    from distributed import KilledWorker

    monkeypatch.setattr(DaskExecutor, "_done", lambda self: [*self._tasks])
    there: Any = SimpleNamespace(address="tcp://there")
    error = KilledWorker("task", there, 0) if lost else ImportError("no module of yours")
    client, path = Client(error), tmp_path / "study"
    assert study(path, DaskExecutor(client, published)).go() == len(CELLS)
    assert len(client.sent) == times * len(CELLS)
    status = StudyDirectory(path).status(CELLS[0])
    assert status.state == "failed"
    assert said in str(status.message)


def test_a_task_that_is_to_stop_does_not_begin(tmp_path):
    path = tmp_path / "study"
    StudyDirectory.create(path, GRID, {})
    (path / ".stop").write_text(str(int(signal.SIGINT)))
    statuses = on_worker(Task(path, CELLS, "hessdiag study"), published)
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
