import json
import signal
from pathlib import Path

import pytest

from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.presets import resolve
from hessdiag.train.run import Run
from hessdiag.train.seed_run import Observer, SeedRun
from tests.train.driving import SNAKE, TINY, SignalAt, assert_same_run, fresh, metrics, resume

STEPS = TINY["n"] + TINY["probe.samples"]  # units of progress of one probe


def _status(path: Path) -> str:
    return json.loads((path / "summary.json").read_text())["status"]


@pytest.mark.usefixtures("fresh_programs")
def test_the_same_seed_gives_the_same_run(whole, tmp_path):
    assert_same_run(fresh(tmp_path / "run", TINY), whole)


def test_another_seed_gives_another_run(whole, tmp_path):
    other = fresh(tmp_path / "run", TINY | {"seed": 1, "probe.at": [], "probe.points": 0})
    assert metrics(other) != metrics(whole)


def test_training_is_the_same_with_probes_and_without(whole, tmp_path):
    settings = TINY | {"probe.at": [], "probe.points": 0}
    assert metrics(fresh(tmp_path / "run", settings)) == metrics(whole)
    assert len(metrics(whole).splitlines()) == TINY["train.iterations"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("done", [1, 5])
def test_stopped_in_training_and_resumed(whole, tmp_path, number, done):
    path = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name}"):
        fresh(path, TINY, SignalAt(number, "training", done))
    assert _status(path) == "interrupted"
    assert len(metrics(path).splitlines()) == done
    assert_same_run(resume(path), whole)
    assert _status(path) == "finished"


def test_stopped_at_every_step_and_resumed_every_time(whole, tmp_path):
    path = tmp_path / "run"
    stops = [("training", 2), *(("probing", k) for k in (0, 1, 2, 4)), ("training", 4)]
    for turn, at in enumerate(stops):
        drive = resume if turn else lambda path, observer: fresh(path, TINY, observer)
        with pytest.raises(Interrupted, match="SIGINT"):
            drive(path, SignalAt(signal.SIGINT, *at))
        assert list((path / "probes").iterdir()) == [] or at == ("training", 4)
    assert_same_run(resume(path), whole)
    config = json.loads((path / "config.json").read_text())
    assert [one["command"] for one in config["resumed"]] == ["hessdiag run --resume"] * len(stops)
    assert set(config["resumed"][0]) == set(config["provenance"])


@pytest.mark.slow
def test_snake_stopped_and_resumed_is_the_same_run(tmp_path):
    expected = fresh(tmp_path / "whole", SNAKE)
    with pytest.raises(Interrupted, match="SIGTERM"):
        fresh(tmp_path / "run", SNAKE, SignalAt(signal.SIGTERM, "training", 1))
    assert_same_run(resume(tmp_path / "run"), expected)


def test_stopped_in_the_last_iteration_finishes(whole, tmp_path):
    last = TINY["train.iterations"]
    path = fresh(tmp_path / "run", TINY, SignalAt(signal.SIGINT, "training", last))
    assert_same_run(path, whole)
    assert _status(path) == "finished"


def test_resuming_a_finished_run_changes_nothing(whole, tmp_path):
    path = fresh(tmp_path / "run", TINY)
    before = {p.name: p.stat().st_mtime_ns for p in (path / "probes").iterdir()}
    resume(path)
    assert {p.name: p.stat().st_mtime_ns for p in (path / "probes").iterdir()} == before
    assert "resumed" not in json.loads((path / "config.json").read_text())
    assert_same_run(path, whole)


def test_settings_survive_the_run_directory(tmp_path):
    for name, settings in (("mrp", TINY | {"kappa": 0.1, "remat": False}), ("snake", SNAKE)):
        made = resolve(settings)
        start(made, tmp_path / name, command="hessdiag run")
        assert reopen(tmp_path / name, command="hessdiag run --resume")[0] == made


class _Late(StopRequest):
    """A signal that arrives after the request was looked at `looks` times."""

    def __init__(self, looks: int):
        self._looks = looks
        super().__init__()

    @property
    def signal_number(self) -> int | None:
        self._looks -= 1
        return signal.SIGINT if self._looks < 0 else None

    @signal_number.setter
    def signal_number(self, value: int | None) -> None:
        del value


def test_whenever_a_signal_arrives_nothing_done_is_lost(tmp_path):
    settings = resolve(TINY | {"train.iterations": 3, "probe.at": [1]})
    for looks in (0, 1, 2, 4, 6):
        directory = start(settings, tmp_path / str(looks), command="hessdiag run")
        with pytest.raises(Interrupted):
            Run([SeedRun(settings, directory, Observer())], stop=_Late(looks)).go()
        saved = Checkpoints(directory.path / "checkpoints").latest()
        assert saved == len(metrics(directory.path).splitlines())
