"""A run that goes on elsewhere, at another time, or with other versions is the same run."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from hessdiag.record.documents import read_document, write_document
from hessdiag.train.interrupt import Interrupted
from tests.train.driving import TINY, SignalAt, assert_same_run, fresh, resume


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A run that was stopped after its probe; tests must not change it."""
    path = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(Interrupted):
        fresh(path, TINY, SignalAt(signal.SIGTERM, "training", 4))
    return path


@pytest.fixture
def copy(stopped, tmp_path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def test_moved_and_renamed(copy, tmp_path, whole):
    (tmp_path / "else where").mkdir()
    moved = shutil.move(copy, tmp_path / "else where" / "ünder another náme")
    assert_same_run(resume(Path(moved)), whole)


@pytest.mark.parametrize("seconds", [0.0, 4e9], ids=["1970", "2096"])
def test_files_of_another_time(copy, whole, seconds):
    for file in copy.rglob("*"):
        os.utime(file, (seconds, seconds))
    assert_same_run(resume(copy), whole)


def test_a_clock_that_jumps(copy, whole, monkeypatch):
    """Back and forth by weeks, whenever it is looked at."""
    now, looks = time.time, iter(range(10**9))

    def jumping() -> float:
        return now() + (-1) ** next(looks) * 2e6

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(time, "time_ns", lambda: int(jumping() * 1e9))
    assert_same_run(resume(copy), whole)


def test_another_version_of_a_dependency(copy, whole):
    """The record keeps with which versions it began, and with which it went on."""
    config = read_document(copy / "config.json")
    now = dict(config["provenance"]["versions"])
    config["provenance"]["versions"] = {name: "0.0.1" for name in now}
    write_document(copy / "config.json", config)
    assert_same_run(resume(copy), whole)
    after = read_document(copy / "config.json")
    assert set(after["provenance"]["versions"].values()) == {"0.0.1"}
    assert after["resumed"][-1]["versions"] == now
