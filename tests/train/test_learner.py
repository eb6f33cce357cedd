"""The compiled programs of a run: one per n, traced once, by scan."""

import jax
import numpy as np
import pytest

from hessdiag.meta.streams import run_keys
from hessdiag.problems.mrp import MarkovRewardProcess
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve

KEYS = run_keys(0)

FLAGS = {"env": "mrp", "problem.batch_size": 4, "train.iterations": 10}


def test_a_second_iteration_traces_nothing(monkeypatch):
    traced = []
    inner_loss = MarkovRewardProcess.inner_loss

    def counting(self, *operands):
        traced.append(1)
        return inner_loss(self, *operands)

    monkeypatch.setattr(MarkovRewardProcess, "inner_loss", counting)
    learner = Learner(resolve({**FLAGS, "n": 2}))
    state, _ = learner.step(learner.init(KEYS.init), jax.random.key(0))
    once = len(traced)
    for k in range(3):
        state, _ = learner.step(state, jax.random.key(k))
    assert len(traced) == once > 0


@pytest.mark.parametrize("flags", [{}, {"estimator": "mix"}, {"remat": False}])
def test_the_program_does_not_grow_with_n(flags):
    """Inner steps are scanned: the number of equations is that of two steps."""

    def equations(n: int) -> int:
        learner = Learner(resolve({**FLAGS, **flags, "n": n}))
        state = jax.eval_shape(learner.init, KEYS.init)
        program = jax.make_jaxpr(learner._step)(state, jax.random.key(0))
        return str(program).count("\n")

    assert equations(7) == equations(2)


def test_eta_moves_against_the_clipped_meta_gradient():
    """The first Adam step is c / (|c| + ε) times the meta learning rate."""
    clip = 1e-8  # near ε, so that clipping shows in the length of the step
    learner = Learner(resolve({**FLAGS, "n": 2, "learning.meta_clip_norm": clip}))
    before = learner.init(KEYS.init)
    after, info = learner.step(before, jax.random.key(0))
    gradient = np.asarray(info.meta_gradient, np.float64)
    assert np.linalg.norm(gradient) > clip
    clipped = gradient * clip / np.linalg.norm(gradient)
    expected = -2e-3 * clipped / (np.abs(clipped) + 1e-8)
    np.testing.assert_allclose(after.eta - before.eta, expected, rtol=1e-4, atol=1e-8)


def test_fixed_hyper_parameters_stay():
    learner = Learner(resolve({**FLAGS, "n": 0}))
    before = learner.init(KEYS.init)
    after, _ = learner.step(before, jax.random.key(0))
    np.testing.assert_array_equal(after.eta, before.eta)
    assert int(after.inner.step) == 1


def test_the_learning_rate_is_annealed_to_zero():
    learner = Learner(resolve({**FLAGS, "n": 1, "learning.schedule": "linear"}))
    state, rates = learner.init(KEYS.init), []
    for t in range(10):
        state, info = learner.step(state, jax.random.key(t))
        rates.append(float(info.learning_rate))
    np.testing.assert_allclose(rates, 1e-3 * (1 - np.arange(10) / 10), rtol=1e-5)


@pytest.mark.parametrize(("keep", "updates"), [("0", 10), ("1", 10), ("n", 30)])
def test_a_linear_schedule_ends_with_training(keep, updates):
    flags = {"n": 3, "learning.schedule": "linear", "learning.keep": keep}
    rate = Learner(resolve({**FLAGS, **flags})).system.update.rate
    assert rate(updates - 1) == pytest.approx(rate(0) / updates)
    assert rate(updates) == 0
