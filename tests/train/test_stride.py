"""Several iterations as one program: the states of one at a time, and a line for each call."""

import json
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from hessdiag.errors import NotFiniteError
from hessdiag.record.run_directory import RunDirectory
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import Interrupted
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.settings import end_of_call
from tests.train import test_lock_step as lock_step
from tests.train.driving import TINY, SignalAt, assert_same_run, flatten, fresh, metrics, resume
from tests.train.test_not_finite import KEYS, NAN

LONG = TINY | {"train.iterations": 24, "probe.at": [10]}
STRIDES = LONG | {"train.stride": 7}
ENDS = [7, 10, 14, 21, 24]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return fresh(tmp_path_factory.mktemp("single") / "run", LONG)


@pytest.fixture(scope="module")
def strides(tmp_path_factory):
    return fresh(tmp_path_factory.mktemp("strides") / "run", STRIDES)


def lines(path, name="metrics"):
    return [json.loads(line) for line in (path / f"{name}.jsonl").read_text().splitlines()]


def last_state(path, settings):
    kept = Checkpoints(path / "checkpoints")
    latest = kept.latest()
    assert latest is not None
    return latest, kept.restore(latest, Learner(resolve(settings)).init(KEYS.init))


def test_calls_end_at_multiples_of_the_stride_at_probes_and_at_the_end():
    settings, at, ends = resolve(STRIDES), 0, []
    while at < 24:
        ends.append(at := end_of_call(settings, at))
    assert ends == ENDS
    assert [end_of_call(settings, at) for at in (1, 8, 12)] == [7, 10, 14]
    one = resolve(LONG)
    assert [end_of_call(one, at) for at in range(24)] == list(range(1, 25))


def test_lines_tell_of_the_last_iteration_of_each_call(single, strides):
    all_lines, told = lines(single), lines(strides)
    assert [line["iteration"] + 1 for line in told] == ENDS
    assert [line.pop("iterations") for line in told] == [7, 3, 4, 7, 3]
    assert "iterations" not in all_lines[0]
    for line in told:
        one, other = flatten(line), flatten(all_lines[line["iteration"]])
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert value == pytest.approx(other[key], rel=1e-4, abs=1e-7), key
    timings = lines(strides, "timings")
    assert [(line["iteration"] + 1, line["iterations"]) for line in timings] == list(
        zip(ENDS, [7, 3, 4, 7, 3], strict=True)
    )


def test_states_and_probes_are_those_of_one_iteration_at_a_time(single, strides):
    (at, one), (other_at, other) = (last_state(path, LONG) for path in (single, strides))
    assert at == other_at == 24
    for leaf, same in zip(jax.tree.leaves(other), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(leaf, same, rtol=1e-4, atol=1e-7)
    probes = [RunDirectory.open(path).read_probes() for path in (single, strides)]
    assert [[int(p.attrs["iteration"]) for p in each] for each in probes] == [[10], [10]]
    np.testing.assert_allclose(probes[0][0]["mean"], probes[1][0]["mean"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("at", [("training", 7), ("probing", 1), ("training", 21)])
def test_stopped_and_resumed(strides, tmp_path, at):
    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        fresh(path, STRIDES, SignalAt(signal.SIGTERM, *at))
    done = json.loads((path / "summary.json").read_text())["iteration"]
    assert done == RunDirectory(path).whole_until() == (10 if at[0] == "probing" else at[1])
    assert_same_run(resume(path), strides)


def test_lines_after_the_last_checkpoint_are_made_again(strides, tmp_path):
    """A kill leaves lines that no checkpoint counts."""
    path = tmp_path / "run"
    with pytest.raises(Interrupted):
        fresh(path, STRIDES, SignalAt(signal.SIGTERM, "training", 14))
    later = b"".join(metrics(strides).splitlines(keepends=True)[:4])
    (path / "metrics.jsonl").write_bytes(later + b'{"iteration": 2')
    assert RunDirectory(path).whole_until() == 21
    assert_same_run(resume(path), strides)


def test_a_missing_line_is_noticed(strides, tmp_path):
    directory = RunDirectory.create(tmp_path / "run", {})
    kept = metrics(strides).splitlines(keepends=True)
    (directory.path / "metrics.jsonl").write_bytes(b"".join(kept[:1] + kept[2:]))
    assert directory.whole_until() == 7


def test_seeds_together_are_as_with_one_iteration_at_a_time(tmp_path):
    few = TINY | {"train.iterations": 5, "probe.at": [], "probe.points": 0}
    lock_step.begin(tmp_path / "one", few)
    lock_step.begin(tmp_path / "two", few | {"train.stride": 2})
    for seed in map(str, lock_step.SEEDS):
        told = lines(tmp_path / "two" / seed)
        assert [line["iteration"] for line in told] == [1, 3, 4]
        singly = lines(tmp_path / "one" / seed)
        for line in told:
            expected = singly[line["iteration"]]
            assert list(line["eta"].values()) == pytest.approx(
                list(expected["eta"].values()), rel=1e-4, abs=1e-7
            )


def test_a_nan_within_a_call_keeps_the_state_before_the_call(tmp_path, monkeypatch):
    """The loss is NaN from iteration 1 on; a call of three begins before it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = tmp_path / "run"
    with pytest.raises(NotFiniteError, match=r"in the inner loss at iterations 0 to 2; "):
        fresh(path, NAN | {"train.stride": 3, "probe.at": [], "probe.points": 0})
    assert json.loads((path / "summary.json").read_text())["status"] == "failed"
    assert not (path / "metrics.jsonl").exists() or not metrics(path)
    iteration, state = last_state(path, NAN)
    assert iteration == int(state.inner.step) == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
