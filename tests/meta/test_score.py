"""Score terms: exact in expectation, by enumeration of everything that can be sampled."""

from dataclasses import dataclass
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.errors import UsageError
from hessdiag.meta import (
    ESTIMATORS,
    Bootstrapped,
    Options,
    Sweep,
    System,
    again,
    point,
    sources,
    streams,
    unroll,
)
from hessdiag.problems import About, Learning
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import horizon_weights
from tests.meta.conftest import system_of
from tests.oracles.meta_gradient import central_differences

RATE, BATCH = 0.7, 2
REWARDS = jnp.array([0.2, 1.0])
ETA = np.array([0.3, -0.4, 0.5])


@dataclass(frozen=True)
class Bandit:
    """Two arms. η: a bonus in the inner loss, its weight, a bias of sampling; and the start.

    The environments' state is the list of what rollouts give, for enumeration; None samples.
    """

    about = About(summary="two arms", headline="reward")
    learning = Learning()

    def init_eta(self, key):
        del key
        return jnp.asarray(ETA)

    def hyper(self, eta):
        return {"bonus": eta[0], "weight": jnp.exp(eta[1]), "bias": eta[2]}

    def start(self, eta, key):
        del key
        return {"logit": 0.3 * eta[0] - 0.2}, None

    def rollout(self, params, hyper, env_state, key):
        if env_state is not None:
            return jnp.roll(env_state, -1, axis=0), env_state[0]
        probability = jax.nn.sigmoid(params["logit"] + hyper["bias"])
        return None, jax.random.bernoulli(key, probability, (BATCH,)).astype(jnp.int32)

    def log_prob(self, params, hyper, trajectories):
        logit = params["logit"] + hyper["bias"]
        return jax.nn.log_sigmoid((2 * trajectories - 1) * logit)

    def inner_loss(self, params, hyper, trajectories):
        """REINFORCE with a bonus for one arm."""
        gain = hyper["weight"] * (REWARDS[trajectories] + hyper["bonus"] * trajectories)
        return -jnp.mean(gain * jax.nn.log_sigmoid((2 * trajectories - 1) * params["logit"]))

    def outer_loss(self, params, hyper, trajectories):
        """Of θ, η and the arms at once: every path counts."""
        cost = 0.1 * params["logit"] ** 2 + 0.2 * hyper["bias"] * hyper["bonus"]
        return cost - jnp.mean(REWARDS[trajectories]) ** 2

    def metrics(self, params, trajectories):
        del params
        return {"reward": jnp.mean(REWARDS[trajectories])}


class Surrogate(Bandit):
    """The same objective; the outer loss has the score of its own trajectories, another value."""

    def outer_loss(self, params, hyper, trajectories):
        plain = super().outer_loss(params, hyper, trajectories)
        log_prob = jnp.sum(self.log_prob(params, hyper, trajectories))
        return plain + jax.lax.stop_gradient(plain) * log_prob

    def outer_value(self, params, hyper, trajectories):
        return super().outer_loss(params, hyper, trajectories)


PLAIN = Bandit()
ARMS = jnp.array(list(product([0, 1], repeat=BATCH)))


def descended(params, eta, arms):
    """θ' by hand."""
    slope = jax.grad(PLAIN.inner_loss)(params, PLAIN.hyper(eta), arms)
    return jax.tree.map(lambda p, g: p - RATE * g, params, slope)


def probability(params, eta, arms):
    return jnp.exp(jnp.sum(PLAIN.log_prob(params, PLAIN.hyper(eta), arms)))


def expected(eta, weights, params=None, depth=0):
    """Σ_i w_i E[L'(θ^(i), η, τ̃^(i))] over everything that can be sampled."""
    params = PLAIN.start(eta, None)[0] if params is None else params
    total = 0.0
    for arms in ARMS:
        likely = probability(params, eta, arms)
        if depth > 0:
            loss = PLAIN.outer_loss(params, PLAIN.hyper(eta), arms)
            total += weights[depth - 1] * likely * loss
        if depth < len(weights):
            total += likely * expected(eta, weights, descended(params, eta, arms), depth + 1)
    return total


def mean_estimate(estimator, problem, n):
    """The expectation of an estimate: the sum over every script of arms, by how likely it is."""
    system = System.of(problem, optax.sgd(RATE), lambda _: RATE)
    eta = system.init_eta(jax.random.key(0))

    def weighted(script):
        params, likely = PLAIN.start(eta, None)[0], 1.0
        start = again(system, eta, jax.random.key(0))._replace(env_state=script)
        for j in range(n + 1):
            likely *= probability(params, eta, script[j])
            params = descended(params, eta, script[j])
        return likely, likely * estimator(system, start, jax.random.key(1), ()).meta_gradient

    scripts = jnp.array(list(product(ARMS, repeat=n + 1)))
    likely, parts = jax.jit(jax.vmap(weighted))(scripts)
    np.testing.assert_allclose(jnp.sum(likely), 1, rtol=1e-12)
    return np.asarray(jnp.sum(parts, axis=0))


@pytest.fixture(scope="module", params=[(1.0,), (0.0, 1.0), (0.7, 0.3)])
def exact(request):
    """Weights over horizons, and the gradient of the expected outer loss by differences."""
    weights = request.param
    with jax.enable_x64(True):
        loss = jax.jit(lambda eta: expected(eta, weights))
        yield weights, central_differences(loss, ETA)


@pytest.mark.parametrize("problem", [Bandit(), Surrogate()])
def test_the_mean_estimate_is_the_gradient_of_the_expected_outer_loss(exact, problem):
    """Of either kind of outer loss; not so without the scores."""
    weights, gradient = exact
    n = len(weights)
    several = None if weights[-1] == 1 else weights
    estimator = Sweep(Options(n=n), several, scores="full")
    if several is None:
        assert estimator == ESTIMATORS["score"](Options(n=n))
    np.testing.assert_allclose(mean_estimate(estimator, problem, n), gradient, rtol=1e-7)
    without = mean_estimate(Sweep(Options(n=n), several), problem, n)
    assert np.abs(without - gradient).max() > 0.05 * np.abs(gradient).max()


@pytest.mark.parametrize("samples", [1, 3])
def test_the_reverse_sweep_is_the_derivative_of_the_explicit_surrogate(x64, samples):
    """Through clipped Adam; every sample's baseline is the mean objective of the others."""
    del x64
    n, problem = 2, Bandit()
    system = system_of(problem, "adam", clip=0.1)
    eta, key = system.init_eta(jax.random.key(0)), jax.random.key(1)
    start = again(system, eta, key)
    estimator = ESTIMATORS["score"](Options(n=n, samples=samples, chunk=2))
    estimate = jax.jit(lambda key: estimator(system, start, key, ()).meta_gradient)(key)
    keys = [key, *streams.averaged(key, samples - 1)]
    seen = []
    for sample in keys:
        drawn = sources(sample, n)
        points = unroll(system, start, drawn)
        end = point(points.states, n).params
        seen.append(
            (points.trajectories, system.rollout(end, eta, None, drawn.validation[-1, 0])[1])
        )

    def replayed(eta, inner, validation):
        """(L', log p of everything sampled) on given trajectories."""
        state, log_prob = system.update.init(problem.start(eta, key)[0]), 0.0
        hyper = problem.hyper(eta)
        for arms in inner:
            log_prob += jnp.sum(problem.log_prob(state.params, hyper, arms))
            state = system.update(state, arms, eta)
        log_prob += jnp.sum(problem.log_prob(state.params, hyper, validation))
        return problem.outer_loss(state.params, hyper, validation), log_prob

    losses = [replayed(eta, *each)[0] for each in seen]

    def surrogate(eta):
        total = 0.0
        for k, each in enumerate(seen):
            others = losses[:k] + losses[k + 1 :]
            loss, log_prob = replayed(eta, *each)
            total += loss + (losses[k] - (np.mean(others) if others else 0.0)) * log_prob
        return total / samples

    np.testing.assert_allclose(estimate, jax.grad(surrogate)(eta), rtol=1e-10)


def test_a_problem_that_cannot_say_how_likely_trajectories_are_is_refused():
    learner = Learner(resolve({"env": "mrp", "n": 2, "estimator": "score"}))
    with pytest.raises(UsageError, match=r"--estimator: score terms .* no log_prob.* allowed: "):
        learner.init(jax.random.key(0))


def test_probes_do_not_take_it_for_a_sum_over_horizons():
    assert "score" not in horizon_weights(2, None)


def test_scores_are_of_the_outer_loss_alone():
    with pytest.raises(ValueError, match="no other objective"):
        Sweep(Options(), objective=Bootstrapped(), scores="full")
