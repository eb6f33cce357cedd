"""Seeds that train as one program: each as if it were alone, and none hurt by another."""

import json
import shutil
import signal

import jax
import pytest

from hessdiag.errors import NotFiniteError
from hessdiag.meta.streams import run_keys
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import Interrupted, StopRequest
from hessdiag.train.launch import reopen, start
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.run import Run
from hessdiag.train.seed_run import Observer, SeedRun
from tests.train.driving import (
    TINY,
    SignalAt,
    assert_same_but_for_rounding,
    assert_same_run,
    fresh,
    probes,
)

SEEDS = (0, 1, 2)


def begin(folder, settings=TINY, observers=None):
    runs = []
    for seed in SEEDS:
        made = resolve(settings | {"seed": seed})
        directory = start(made, folder / str(seed), command="hessdiag study")
        runs.append(SeedRun(made, directory, (observers or {}).get(seed, Observer())))
    drive(runs)


def go_on(folder, observers=None):
    watching = {seed: (observers or {}).get(seed, Observer()) for seed in SEEDS}
    reopened = {seed: reopen(folder / str(seed), command="hessdiag study") for seed in SEEDS}
    drive([SeedRun(*reopened[seed], watching[seed]) for seed in SEEDS])


def drive(runs):
    with StopRequest() as stop:
        Run(runs, stop=stop).go()


def status(path):
    return json.loads((path / "summary.json").read_text())


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    begin(folder)
    return folder


def test_each_seed_trains_as_if_it_were_alone(together, tmp_path):
    for seed in SEEDS[1:]:
        alone = fresh(tmp_path / str(seed), TINY | {"seed": seed})
        assert_same_but_for_rounding(together / str(seed), alone)
        ours, theirs = probes(together / str(seed)), probes(alone)
        assert ours.keys() == theirs.keys()
        for name, probe in ours.items():
            std = probe["std"].values
            assert std == pytest.approx(theirs[name]["std"].values, rel=1e-2, abs=1e-9)


def test_a_signal_during_one_seeds_probe_loses_nothing_of_the_others(together, tmp_path):
    observers = {1: SignalAt(signal.SIGINT, "probing", 1)}
    with pytest.raises(Interrupted):
        begin(tmp_path, observers=observers)
    assert [status(tmp_path / str(seed))["iteration"] for seed in SEEDS] == [3, 3, 3]
    go_on(tmp_path)
    for seed in SEEDS:
        assert_same_run(tmp_path / str(seed), together / str(seed))


def test_killed_between_two_checkpoints_they_go_on_from_the_last_common_one(together, tmp_path):
    """One seed's newest checkpoint was not written any more."""
    shutil.copytree(together, tmp_path, dirs_exist_ok=True)
    newest = tmp_path / "1" / "checkpoints" / str(TINY["train.iterations"])
    shutil.rmtree(newest)
    with pytest.raises(Interrupted):  # once more, between the two
        go_on(tmp_path, {0: SignalAt(signal.SIGINT, "training", TINY["train.iterations"] - 1)})
    saved = [Checkpoints(tmp_path / str(seed) / "checkpoints").latest() for seed in SEEDS]
    assert saved == [TINY["train.iterations"] - 1] * len(SEEDS)
    go_on(tmp_path)
    for seed in SEEDS:
        assert status(tmp_path / str(seed))["status"] == "finished"
        assert_same_run(tmp_path / str(seed), together / str(seed))


def test_without_a_common_checkpoint_those_behind_catch_up(together, tmp_path):
    shutil.copytree(together, tmp_path, dirs_exist_ok=True)
    for checkpoint in (tmp_path / "1" / "checkpoints").glob("*[0-9]"):
        shutil.rmtree(checkpoint)
    go_on(tmp_path)
    assert_same_run(tmp_path / "0", together / "0")
    assert_same_but_for_rounding(tmp_path / "1", together / "1")


def test_a_seed_that_turns_nan_does_not_stop_the_others(tmp_path):
    settings = TINY | {"env": "tests.train.nan_for_some:make_problem", "train.iterations": 3}
    settings |= {"probe.at": [], "probe.points": 0}
    learner = Learner(resolve(settings))
    weights = [
        float(jax.tree.leaves(learner.init(run_keys(seed).init).inner.params)[-1].ravel()[0])
        for seed in SEEDS
    ]
    assert min(weights) < 0 < max(weights), "the seeds are to differ"
    begin(tmp_path, settings)
    ends = [status(tmp_path / str(seed)) for seed in SEEDS]
    expected = ["failed" if weight > 0 else "finished" for weight in weights]
    assert [end["status"] for end in ends] == expected
    assert any("NaN or infinity" in (end["message"] or "") for end in ends)


def test_where_all_turn_nan_the_error_is_raised(tmp_path):
    settings = TINY | {"env": "tests.train.turns_nan:make_problem", "probe.at": []}
    with pytest.raises(NotFiniteError):
        begin(tmp_path, settings | {"probe.points": 0})
