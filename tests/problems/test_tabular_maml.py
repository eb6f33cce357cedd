"""MAML-RL whose meta-gradient is known: by NumPy where exact, on average where sampled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.bias.reference import enumerated
from hessdiag.errors import UsageError
from hessdiag.inner import inner_optimiser
from hessdiag.meta import ESTIMATORS, Options, System, again
from hessdiag.problems.tabular_maml import TabularMAML
from hessdiag.rl import tabular
from tests.oracles import tabular as oracle

SMALL = {"states": 4, "actions": 3, "concentration": 0.5, "mdp_seed": 3}
RATE = 2.0
THETA = np.random.default_rng(0).normal(size=(4, 3))


def system_of(problem):
    return System.of(problem, inner_optimiser("sgd", RATE), lambda _: RATE)


def estimate(problem, n=1, name="n-step"):
    """(flat logits, key) → meta-gradient."""
    system = system_of(problem)
    estimator = ESTIMATORS[name](Options(n=n, keep=0))

    def single(eta, key):
        start = again(system, eta, jax.random.key(0))
        step = estimator(system, start, key, ())
        return step.meta_gradient, step.outer_loss

    return single


def of(problem) -> tuple[Any, Any, float]:
    mdp = problem.mdp
    return np.asarray(mdp.transitions), np.asarray(mdp.rewards), mdp.discount


def exact_meta_gradient(process, updates):
    """d/dθ_0 V(θ_K) by complex steps."""
    transitions, rewards, gamma = process

    def after(theta):
        ascended = oracle.ascended(transitions, rewards, gamma, theta, RATE, updates)
        return oracle.value(transitions, rewards, gamma, ascended)

    steps = [1e-30j * d.reshape(4, 3) for d in np.eye(12)]
    return np.array([after(THETA + d).imag / 1e-30 for d in steps])


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.usefixtures("x64")
def test_exact_meta_gradient(n):
    problem = TabularMAML(**SMALL, surrogate="exact", outer="exact", batch_size=2)
    single = jax.jit(estimate(problem, n))
    gradient, loss = single(jnp.asarray(THETA.ravel()), jax.random.key(1))
    process = of(problem)
    ascended = oracle.ascended(*process, THETA, RATE, n)
    np.testing.assert_allclose(-loss, oracle.value(*process, ascended), rtol=1e-10)
    np.testing.assert_allclose(-gradient, exact_meta_gradient(process, n), rtol=1e-8, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_losses_are_minus_the_surrogates_of_what_was_sampled():
    """ad, with the critic's noise, written out."""
    problem = TabularMAML(**SMALL, batch_size=3, rollout_length=4)
    _, drawn = problem.rollout({"logits": jnp.asarray(THETA)}, None, problem.mdp, jax.random.key(2))
    states, actions = np.asarray(drawn.episodes.states), np.asarray(drawn.episodes.actions)
    transitions, rewards, gamma = of(problem)
    probs = oracle.policy(THETA)
    np.testing.assert_allclose(drawn.behaviour, probs, rtol=1e-12)
    onward = np.einsum("sa,sat->st", probs, transitions)
    v = np.linalg.solve(np.eye(4) - gamma * onward, (probs * rewards).sum(axis=1))
    critic = v + 0.05 * np.linalg.norm(v) * np.asarray(drawn.noise)
    elsewhere = THETA[::-1] - 0.3
    expected = 0.0
    for i in range(3):
        for t in range(4):
            paid = [gamma ** (k - t) * rewards[states[i, k], actions[i, k]] for k in range(t, 4)]
            left = sum(paid) + gamma ** (4 - t) * critic[states[i, 4]] - critic[states[i, t]]
            log_pi = np.log(oracle.policy(elsewhere)[states[i, t], actions[i, t]])
            expected -= gamma**t * left * log_pi / 3
    params = {"logits": jnp.asarray(elsewhere)}
    for loss in (problem.inner_loss, problem.outer_loss):
        np.testing.assert_allclose(loss(params, None, drawn), expected, rtol=1e-10)
    returns = rewards[states[:, :-1], actions] @ gamma ** np.arange(4)
    expected = -np.mean(returns + gamma**4 * critic[states[:, -1]])
    np.testing.assert_allclose(problem.outer_value(params, None, drawn), expected, rtol=1e-10)
    log_pi = np.log(oracle.policy(elsewhere)[states[:, :-1], actions]).sum(axis=1)
    np.testing.assert_allclose(problem.log_prob(params, None, drawn), log_pi, rtol=1e-10)


@pytest.mark.parametrize("hessian", ["loaded", "dice", "ad"])
@pytest.mark.usefixtures("x64")
def test_of_exact_updates_only_the_derivative_is_sampled(hessian):
    """One exact update, differentiated as a surrogate: unbiased for loaded and dice only."""
    problem = TabularMAML(
        **SMALL, surrogate="exact", hessian=hessian, outer="exact", critic_noise=0.0,
        batch_size=20, rollout_length=60,
    )  # fmt: skip
    keys = jax.random.split(jax.random.key(4), 400)
    single = estimate(problem)
    gradients, losses = jax.jit(jax.vmap(single, (None, 0)))(jnp.asarray(THETA.ravel()), keys)
    assert np.ptp(np.asarray(losses)) < 1e-12  # where the update goes does not depend on samples
    gradients = -np.asarray(gradients)
    error = gradients.std(axis=0, ddof=1) / 20
    z = np.abs(gradients.mean(axis=0) - exact_meta_gradient(of(problem), 1)) / error
    assert z.max() < 4.5 if hessian in ("loaded", "dice") else z.max() > 10


@pytest.mark.usefixtures("x64")
def test_scores_make_the_gradient_of_the_expected_outer_loss():
    """Of one inner update on one trajectory of one step: an expectation over actions.

    The critic being constant zero, E f(θ') = Σ_a π(a) f(θ + α (r + γ · 0) ∇log π(a)).
    """
    one = {"states": 1, "actions": 3, "mdp_seed": 5, "gamma": 0.0}
    problem = TabularMAML(
        **one, batch_size=1, rollout_length=1, outer="exact", critic_noise=0.0, surrogate="ad"
    )
    rewards = np.asarray(problem.mdp.rewards)[0]
    theta = np.array([0.4, -0.3, 0.1])

    def expected(theta, baseline):
        p = np.exp(theta) / np.exp(theta).sum()
        total = 0.0
        for a in range(3):
            after = theta + RATE * (rewards[a] - baseline) * (np.eye(3)[a] - p)
            q = np.exp(after) / np.exp(after).sum()
            total = total + p[a] * (q @ rewards)
        return total

    # the baseline, V at θ, is a constant of all derivatives, as is the critic of a surrogate
    baseline = oracle.policy(theta[None])[0] @ rewards
    truth = np.array([expected(theta + d, baseline).imag for d in 1e-30j * np.eye(3)]) / 1e-30
    keys = jax.random.split(jax.random.key(6), 4000)
    means = {}
    for name in ("score", "n-step"):
        single = jax.jit(jax.vmap(estimate(problem, name=name), (None, 0)))
        gradients = -np.asarray(single(jnp.asarray(theta), keys)[0])
        error = gradients.std(axis=0, ddof=1) / np.sqrt(len(keys))
        means[name] = np.abs(gradients.mean(axis=0) - truth) / error
    assert means["score"].max() < 4.5
    assert means["n-step"].max() > 10


def test_starts_at_eta_at_the_uniform_policy_and_tells_values():
    problem = problems.make("tabular-maml", {})
    eta = problem.init_eta(jax.random.key(0))
    params, env_state = problem.start(eta, jax.random.key(1))
    assert params is eta
    assert np.asarray(eta["logits"]).shape == (20, 5)
    _, drawn = problem.rollout(params, None, env_state, jax.random.key(1))
    assert drawn.episodes.actions.shape == (32, 20)
    told = problem.metrics(params, drawn)
    value = oracle.value(*of(problem), np.zeros((20, 5)))
    np.testing.assert_allclose(told["value"], value, rtol=1e-5)
    np.testing.assert_allclose(told["reward_per_step"], np.mean(drawn.episodes.rewards), rtol=1e-6)
    other = tabular.random_mdp(jax.random.key(1))
    np.testing.assert_array_equal(TabularMAML(mdp_seed=1).mdp.rewards, other.rewards)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 0),
        ("rollout_length", 0),
        ("surrogate", "reinforce"),
        ("hessian", "none"),
        ("outer", "same"),
        ("concentration", 0.0),
        ("gamma", 1.0),
        ("mdp_seed", -1),
        ("critic_noise", -0.1),
    ],
)
def test_what_is_not_allowed_is_refused(key, value):
    with pytest.raises(UsageError, match=rf"problem\.{key}.*: .*{value}.* is not allowed; allowed"):
        problems.make("tabular-maml", {key: value})


TINY: dict[str, Any] = {
    "states": 3,
    "actions": 2,
    "concentration": 1e-5,
    "mdp_seed": 2,
    "critic_noise": 0.0,
}
TINY |= {"rollout_length": 2, "batch_size": 3}


def drawn_of(problem, logits):
    """A batch of three, and all trajectories with what each of them is of that batch."""
    mdp = problem.mdp
    _, batch = problem.rollout({"logits": logits}, None, mdp, jax.random.key(5))
    likely, every = problem.outcomes({"logits": logits}, None, mdp)
    np.testing.assert_allclose(jnp.sum(likely), 1.0, rtol=1e-12)
    kinds = [tuple(map(int, row)) for row in every.episodes.actions[0]]
    seen = [tuple(map(int, row)) for row in batch.episodes.actions]
    share = np.array([seen.count(kind) for kind in kinds]) / len(seen)
    (row,) = np.flatnonzero((np.asarray(every.share) == share).all(axis=1))
    return batch, jax.tree.map(lambda leaf: leaf[row], every)


@pytest.mark.parametrize("surrogate", ["exact", "ad", "lvc", "loaded", "dice"])
@pytest.mark.usefixtures("x64")
def test_an_outcome_is_the_batch_that_it_stands_for(surrogate):
    """Loss, gradient and Hessian are those of the trajectories one by one."""
    problem = TabularMAML(**TINY, surrogate=surrogate)
    logits = jnp.asarray(THETA[:3, :2])
    batch, outcome = drawn_of(problem, logits)

    def loss(flat, of):
        return problem.inner_loss({"logits": flat.reshape(3, 2)}, None, of)

    for derivative in (loss, jax.grad(loss), jax.hessian(loss)):
        ours, theirs = (derivative(logits.ravel(), of) for of in (outcome, batch))
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-14)
    each = problem.inner_losses({"logits": logits}, None, batch)
    assert each.shape == (3,)
    np.testing.assert_allclose(jnp.mean(each), loss(logits.ravel(), batch), rtol=1e-10)


@pytest.mark.parametrize("outer", ["exact", "ad", "loaded", "dice"])
@pytest.mark.usefixtures("x64")
def test_outer_losses_have_the_expectation_that_is_said(outer):
    """Their gradients, by enumeration of what validates them."""
    problem = TabularMAML(**TINY, outer=outer)
    params = {"logits": jnp.asarray(THETA[:3, :2])}
    likely, every = problem.outcomes(params, None, problem.mdp)

    def gradient(of):
        return jax.grad(lambda at: problem.outer_loss(at, None, of))(params)["logits"]

    mean = jnp.einsum("m,msa->sa", likely, jax.vmap(gradient)(every))
    said = jax.grad(lambda at: problem.expected_outer_loss(at, None, problem.mdp))(params)["logits"]
    np.testing.assert_allclose(mean, said, rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("x64")
def test_scores_are_right_on_average():
    """d/dη E[L'] by central differences, the critic held; without scores it is another."""
    problem = TabularMAML(**TINY, outer="exact")
    system, at = system_of(problem), jnp.asarray(THETA[:3, :2])
    held = problem.outcomes({"logits": at}, None, problem.mdp)[1].behaviour

    def expected(flat):
        params = {"logits": flat.reshape(3, 2)}
        likely, every = problem.outcomes(params, None, problem.mdp)
        every = every._replace(behaviour=held)

        def after(of):
            slope = jax.grad(lambda at: problem.inner_loss(at, None, of))(params)
            moved = jax.tree.map(lambda p, g: p - RATE * g, params, slope)
            return problem.expected_outer_loss(moved, None, problem.mdp)

        return likely @ jax.vmap(after)(every)

    jitted, flat = jax.jit(expected), at.ravel()
    slope = [(jitted(flat + d) - jitted(flat - d)) / 2e-5 for d in 1e-5 * np.eye(6)]

    def start(eta):
        return again(system, eta, jax.random.key(0))

    np.testing.assert_allclose(enumerated(system, start, flat, 1), slope, rtol=1e-7, atol=1e-10)
    single = estimate(problem, name="score-centred")
    keys = jax.random.split(jax.random.key(7), 40_000)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: single(flat, key)[0]))(keys))
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - slope) < 4.5 * error + 1e-12).all()
    plain = estimate(problem, name="n-step")
    without = np.asarray(jax.jit(jax.vmap(lambda key: plain(flat, key)[0]))(keys[:10_000]))
    error = without.std(axis=0) / 100
    assert (np.abs(without.mean(axis=0) - slope) > 10 * error).any()


def test_a_noisy_critic_is_not_enumerated():
    problem = TabularMAML(**{**TINY, "critic_noise": 0.05})
    with pytest.raises(UsageError, match=r"problem\.critic_noise: 0\.05"):
        problem.outcomes({"logits": jnp.zeros((3, 2))}, None, problem.mdp)
