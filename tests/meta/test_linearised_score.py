"""Linearised score terms, and estimates with and without scores, on a bandit of two arms.

Everything is a finite sum over how often the second arm was pulled: no Monte Carlo.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import binom

from hessdiag.errors import UsageError
from hessdiag.meta import ESTIMATORS, Options, System, again
from hessdiag.problems.bandit import Bandit
from hessdiag.problems.mrp import MarkovRewardProcess

THETA, RATE, LOW, HIGH = -0.5, 5.0, 0.5, 1.0
SIZES = (32, 64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Scripted(Bandit):
    """Rollouts give what the environments' state says, so that outcomes can be enumerated."""

    def rollout(self, params, hyper, env_state, key):
        del params, hyper, key
        return env_state, env_state


@dataclasses.dataclass(frozen=True)
class Linear(Scripted):
    """With an outer loss linear in θ, the linearisation is exact."""

    def expected_outer_loss(self, params, hyper, env_state):
        del hyper, env_state
        return -1.5 * params["logit"]


def sigma(x):
    return 1 / (1 + np.exp(-x))


def descended(k, size, theta):
    """θ' by hand: REINFORCE with k pulls of the second arm."""
    p = sigma(theta)
    return theta + RATE * (k * (1 - p) * HIGH - (size - k) * p * LOW) / size


def loss_at(theta):
    return -(HIGH * sigma(theta) + LOW * (1 - sigma(theta)))


def expected_loss(theta, size, loss=loss_at):
    k = np.arange(size + 1)
    return binom.pmf(k, size, sigma(theta)) @ loss(descended(k, size, theta))


def exact(size, loss=loss_at, step=1e-5):
    """By central differences of the expectation."""
    ahead, behind = (expected_loss(THETA + s * step, size, loss) for s in (1, -1))
    return (ahead - behind) / (2 * step)


def estimates(name, problem):
    """(N + 1,) of an estimate, by how often the second arm was pulled."""
    system = System.of(problem, optax.sgd(RATE), lambda _: RATE)
    eta = system.init_eta(jax.random.key(0))
    estimator = ESTIMATORS[name](Options(n=1))
    _, batches = problem.outcomes({"logit": eta[0]}, None, None)

    def one(batch):
        start = again(system, eta, jax.random.key(0))._replace(env_state=batch)
        return estimator(system, start, jax.random.key(1), ()).meta_gradient[0]

    return np.asarray(jax.jit(jax.vmap(one))(batches))


def moments(name, size, problem=Scripted):
    """(mean, variance) of an estimate."""
    each = estimates(name, problem(batch_size=size))
    likely = binom.pmf(np.arange(size + 1), size, sigma(THETA))
    mean = likely @ each
    return mean, likely @ (each - mean) ** 2


def slope(values):
    return np.polyfit(np.log(SIZES), np.log(np.abs(values)), 1)[0]


@pytest.fixture(scope="module")
def of_sizes():
    """By estimator: bias and variance at every size."""
    with jax.enable_x64(True):
        found = {}
        for name in ("score", "lsf", "n-step", "first-order"):
            means, variances = zip(*(moments(name, size) for size in SIZES), strict=True)
            found[name] = np.array(means) - [exact(size) for size in SIZES], np.array(variances)
    return found


def test_all_scores_are_unbiased_and_get_noisier_with_more_samples(of_sizes):
    bias, variance = of_sizes["score"]
    assert np.abs(bias).max() < 1e-9
    assert slope(variance) == pytest.approx(1.0, abs=0.02)


def test_linearised_scores_lose_bias_and_noise_with_more_samples(of_sizes):
    """Tang 2021 bounds the bias by N^-1/2; here it falls as 1 / N, as the loss is smooth."""
    bias, variance = of_sizes["lsf"]
    assert slope(bias) == pytest.approx(-1.0, abs=0.15)
    assert slope(variance) == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("name", ["n-step", "first-order"])
def test_without_scores_the_bias_stays(of_sizes, name):
    bias, variance = of_sizes[name]
    assert slope(bias) == pytest.approx(0.0, abs=0.02)
    assert np.abs(bias).min() > 0.01
    assert slope(variance) < -0.9


def test_linearised_scores_are_those_of_the_formula(x64):
    """T (1 + α ĝ') + (1 / N) Σ_i ∇log p(a_i) α ĝ_i T, pull by pull."""
    del x64
    size, p = 7, sigma(THETA)
    k = np.arange(size + 1)
    after = descended(k, size, THETA)
    towards = -(HIGH - LOW) * sigma(after) * (1 - sigma(after))
    score, slope_of_score = np.array([-p, 1 - p]), -p * (1 - p)
    pulls = np.stack([size - k, k], axis=1) / size
    effect = pulls @ (np.array([LOW, HIGH]) * score * score) * RATE
    path = 1 + RATE * pulls @ np.array([LOW, HIGH]) * slope_of_score
    np.testing.assert_allclose(
        estimates("lsf", Scripted(batch_size=size)), towards * (path + effect), rtol=1e-12
    )


class Dice(Scripted):
    """The inner loss with π / sg(π) in place of log π: DiCE of a single step, and LVC."""

    def inner_losses(self, params, hyper, trajectories):
        log_prob = self.log_prob(params, hyper, trajectories)
        ratio = jnp.exp(log_prob - jax.lax.stop_gradient(log_prob))
        return -jnp.where(trajectories == 1, self.better, self.worse) * ratio


def test_linearised_scores_are_what_dice_does_to_the_second_derivative(x64):
    """The meta-gradient of DiCE's inner loss, no scores added, is that of AD's with them."""
    del x64
    with_dice = estimates("n-step", Dice(batch_size=6))
    np.testing.assert_allclose(with_dice, estimates("lsf", Scripted(batch_size=6)), rtol=1e-12)


def test_of_a_linear_loss_linearised_scores_are_exact(x64):
    del x64
    mean, _ = moments("lsf", 5, Linear)
    assert mean == pytest.approx(exact(5, lambda theta: -1.5 * theta), rel=1e-8)
    without, _ = moments("n-step", 5, Linear)
    assert abs(without - mean) > 0.1 * abs(mean)


def test_a_baseline_of_one_more_unroll_leaves_the_mean_and_takes_the_growth(x64):
    """The variance with a baseline no longer depends on the number of samples."""
    del x64
    variances = []
    for size in (16, 256):
        problem = Bandit(batch_size=size)
        system = System.of(problem, optax.sgd(RATE), lambda _: RATE)
        eta = system.init_eta(jax.random.key(0))
        estimator = ESTIMATORS["score-centred"](Options(n=1))
        start = again(system, eta, jax.random.key(0))
        draw = jax.jit(jax.vmap(lambda key, f=estimator, s=system, a=start: f(s, a, key, ())))
        each = np.asarray(draw(jax.random.split(jax.random.key(2), 20_000)).meta_gradient[:, 0])
        error = each.std() / np.sqrt(len(each))
        assert abs(each.mean() - exact(size)) < 4 * error
        variances.append(each.var())
    assert variances[1] == pytest.approx(variances[0], rel=0.5)
    assert variances[1] < 0.02 * moments("score", 256)[1]


def test_a_problem_without_losses_by_trajectory_is_refused():
    problem = MarkovRewardProcess()
    system = System.of(problem, optax.sgd(0.1), lambda _: 0.1)
    with pytest.raises(UsageError, match="allowed"):
        ESTIMATORS["lsf"](Options(n=1)).init(system, None)


def test_the_enumerated_outcomes_are_all_there_is(x64):
    del x64
    problem = Bandit(batch_size=9)
    likely, batches = problem.outcomes({"logit": jnp.asarray(THETA)}, None, None)
    np.testing.assert_allclose(likely, binom.pmf(np.arange(10), 9, sigma(THETA)), rtol=1e-12)
    np.testing.assert_array_equal(batches.sum(axis=1), np.arange(10))
