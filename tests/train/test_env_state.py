"""An environment state of any kind resumes bit for bit, or is refused before training."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.errors import UsageError
from hessdiag.train import launch
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.interrupt import Interrupted
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from tests.train.any_state import IMPLEMENTATIONS
from tests.train.driving import TINY, SignalAt, assert_same_run, fresh, resume

ANY = TINY | {"env": "tests.train.any_state:AnyState", "n": 1, "train.iterations": 4}
ANY |= {"probe.at": [], "probe.points": 0}


def numbers(state) -> list[np.ndarray]:
    def number(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return [number(leaf) for leaf in jax.tree.leaves(state)]


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_state_of_every_kind_goes_on_from_a_file_as_if_nothing_had_been(tmp_path, wide):
    with jax.enable_x64(wide):
        learner = Learner(resolve(ANY))
        kept, keys = Checkpoints(tmp_path / "kept"), jax.random.split(jax.random.key(3), 3)
        state = learner.init(jax.random.key(0))
        for key in keys[:2]:
            state, _ = learner.step(state, key)
        kept.save(2, state)
        restored = kept.restore(2, learner.init(jax.random.key(1)))
        for impl in IMPLEMENTATIONS:
            assert str(jax.random.key_impl(restored.env_state["keys"][impl])) == impl
        expected, _ = learner.step(state, keys[2])
        found, _ = learner.step(restored, keys[2])
        for one, other in zip(numbers(found), numbers(expected), strict=True):
            np.testing.assert_array_equal(one, other, strict=True)
        programs = learner.step._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
        assert programs == 1  # whose arithmetic is one
        for name in ("numpy", "wide"):
            assert expected.env_state[name].dtype == (np.float64 if wide else np.float32)


@pytest.mark.slow
def test_a_run_with_such_a_state_that_was_stopped_is_the_same_run(tmp_path):
    expected = fresh(tmp_path / "whole", ANY)
    with pytest.raises(Interrupted, match="SIGTERM"):
        fresh(tmp_path / "run", ANY, SignalAt(signal.SIGTERM, "training", 1))
    assert_same_run(resume(tmp_path / "run"), expected)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("dtype", r"\['seen'\] is int32\[2\] before and float32\[2\] after"),
        ("shape", r"\['seen'\] is int32\[2\] before and int32\[3\] after"),
        ("structure", "of another structure"),
    ],
)
def test_a_state_that_changes_its_kind_is_refused_before_training(tmp_path, kind, said):
    settings = resolve(TINY | {"env": "tests.train.any_state:Changing", "problem.kind": kind})
    with pytest.raises(UsageError, match=rf"--env: rollout of .*{said}.*; allowed: the same"):
        launch.start(settings, tmp_path / "run", command="")
    assert not (tmp_path / "run").exists()
