"""First and second derivatives, by enumeration of all trajectories of a tiny process."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.rl import surrogates, tabular
from hessdiag.rl.surrogates import SURROGATES
from hessdiag.rl.tabular import Episodes, TabularMDP

pytestmark = pytest.mark.usefixtures("x64")

GAMMA, T = 0.9, 3
NEXT = np.array([[1, 0], [0, 1]])  # s' by state and action
REWARDS = np.array([[1.0, -0.5], [0.3, 2.0]])
CRITIC = np.array([0.7, -1.3])
THETA = np.array([[0.4, -0.2], [1.0, 0.3]])


def probabilities():
    probs = np.exp(THETA)
    return probs / probs.sum(axis=1, keepdims=True)


def enumerated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, actions and rewards of all sequences of actions."""
    actions = np.array(list(product(range(2), repeat=T)))
    states = np.zeros((len(actions), T + 1), int)
    for t in range(T):
        states[:, t + 1] = NEXT[states[:, t], actions[:, t]]
    return states, actions, REWARDS[states[:, :-1], actions]


STATES, ACTIONS, PAID = enumerated()
LIKELY = probabilities()[STATES[:, :-1], ACTIONS].prod(axis=1)  # p(τ)


def score_and_curvature(s, a):
    """∇ and ∇² of log π(a | s) in the flat logits."""
    pi, score, curvature = probabilities()[s], np.zeros((2, 2)), np.zeros((2, 2, 2, 2))
    score[s] = np.eye(2)[a] - pi
    curvature[s, :, s, :] = np.outer(pi, pi) - np.diag(pi)
    return score.ravel(), curvature.reshape(4, 4)


def hand_advantages(i, lam=1.0):
    """A_t as the sum of what is left, written out."""
    v = CRITIC[STATES[i]]
    deltas = PAID[i] + GAMMA * v[1:] - v[:-1]
    return [sum((GAMMA * lam) ** (k - t) * deltas[k] for k in range(t, T)) for t in range(T)]


def derivatives(name, lam=1.0):
    """Gradients (8, 4) and Hessians (8, 4, 4) of the surrogate on each single trajectory."""

    def of_one(flat, states, actions, rewards):
        episodes = Episodes(states[None], actions[None], rewards[None])
        log_probs = tabular.log_prob(flat.reshape(2, 2), episodes)
        v = jnp.asarray(CRITIC)[episodes.states]
        return SURROGATES[name](log_probs, episodes.rewards, v, GAMMA, lam)

    flat, data = jnp.asarray(THETA.ravel()), [jnp.asarray(x) for x in (STATES, ACTIONS, PAID)]
    gradients = jax.vmap(jax.grad(of_one), (None, 0, 0, 0))(flat, *data)
    return np.asarray(gradients), np.asarray(
        jax.vmap(jax.hessian(of_one), (None, 0, 0, 0))(flat, *data)
    )


def score_products(gains):
    """Σ_τ p (∇²log p + ∇log p ∇log pᵀ) G, the Hessian of E G without any surrogate."""
    total = np.zeros((4, 4))
    for i, gain in enumerate(gains):
        pairs = [score_and_curvature(s, a) for s, a in zip(STATES[i], ACTIONS[i], strict=False)]
        score, curvature = sum(s for s, _ in pairs), sum(c for _, c in pairs)
        total += LIKELY[i] * gain * (curvature + np.outer(score, score))
    return total


@pytest.mark.parametrize("lam", [1.0, 0.9])
def test_first_derivatives_agree_sample_by_sample(lam):
    expected = np.zeros((len(STATES), 4))
    for i in range(len(STATES)):
        for t, a in enumerate(hand_advantages(i, lam)):
            expected[i] += GAMMA**t * a * score_and_curvature(STATES[i, t], ACTIONS[i, t])[0]
    for name in ("ad", "lvc", "loaded"):
        np.testing.assert_allclose(derivatives(name, lam)[0], expected, rtol=1e-12, atol=1e-14)


def test_first_derivative_of_dice_has_whole_rewards():
    expected = np.zeros((len(STATES), 4))
    for i in range(len(STATES)):
        for t in range(T):
            to_come = sum(GAMMA**k * PAID[i, k] for k in range(t, T))
            expected[i] += to_come * score_and_curvature(STATES[i, t], ACTIONS[i, t])[0]
    np.testing.assert_allclose(derivatives("dice")[0], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["loaded", "dice"])
def test_unbiased_second_derivatives(name):
    """Against score products in NumPy, and the Hessian of the truncated return."""
    bootstrap = CRITIC if name == "loaded" else np.zeros(2)
    powers = GAMMA ** np.arange(T)
    expected = score_products(PAID @ powers + GAMMA**T * bootstrap[STATES[:, -1]])
    np.testing.assert_allclose(
        LIKELY @ derivatives(name)[1].reshape(-1, 16), expected.ravel(), atol=1e-13
    )
    mdp = TabularMDP(jax.nn.one_hot(NEXT, 2, dtype=float), jnp.asarray(REWARDS), GAMMA, 0)

    def value(flat):
        probs = tabular.policy(flat.reshape(2, 2))
        return tabular.truncated_return(mdp, probs, T, jnp.asarray(bootstrap))

    np.testing.assert_allclose(jax.hessian(value)(jnp.asarray(THETA.ravel())), expected, atol=1e-13)


@pytest.mark.parametrize("name", ["ad", "lvc"])
def test_biased_second_derivatives_are_what_the_formulas_say(name):
    expected = np.zeros((4, 4))
    for i in range(len(STATES)):
        for t, a in enumerate(hand_advantages(i)):
            score, curvature = score_and_curvature(STATES[i, t], ACTIONS[i, t])
            own = curvature + np.outer(score, score) if name == "lvc" else curvature
            expected += LIKELY[i] * GAMMA**t * a * own
    mean = LIKELY @ derivatives(name)[1].reshape(-1, 16)
    np.testing.assert_allclose(mean, expected.ravel(), atol=1e-13)
    exact = score_products(PAID @ GAMMA ** np.arange(T) + GAMMA**T * CRITIC[STATES[:, -1]])
    assert np.abs(expected - exact).max() > 0.1 * np.abs(exact).max()


def test_a_batch_is_the_mean_of_its_trajectories():
    log_probs = jnp.log(probabilities())[STATES[:, :-1], ACTIONS]
    args = jnp.asarray(PAID), jnp.asarray(CRITIC)[STATES]
    for surrogate in SURROGATES.values():
        whole = surrogate(log_probs, *args, GAMMA)
        rows = [
            surrogate(log_probs[i : i + 1], *(x[i : i + 1] for x in args), GAMMA) for i in range(8)
        ]
        np.testing.assert_allclose(whole, np.mean(rows), rtol=1e-12, atol=1e-14)
    returns = surrogates.discounted_return(jnp.asarray(PAID), None, GAMMA)
    np.testing.assert_allclose(returns, PAID @ GAMMA ** np.arange(T), rtol=1e-12)
    np.testing.assert_allclose(
        SURROGATES["dice"](log_probs, *args, GAMMA), np.mean(returns), rtol=1e-12
    )
    bootstrapped = surrogates.discounted_return(*args, GAMMA)
    np.testing.assert_allclose(bootstrapped - returns, GAMMA**T * CRITIC[STATES[:, -1]], rtol=1e-9)


def test_a_spliced_loss_moves_as_one_and_is_differentiated_as_the_other():
    """θ' = sg(θ_1) + θ_2 − sg(θ_2), in θ and in what else the second depends on."""

    def first(theta):
        return jnp.sum(theta["a"] ** 3)

    def second(theta, eta):
        return eta * jnp.sum(jnp.sin(theta["a"]))

    theta, eta = {"a": jnp.array([0.3, -1.1])}, 1.7

    def gradient(theta, eta):
        return jax.grad(surrogates.spliced(first, lambda theta: second(theta, eta)))(theta)["a"]

    a = np.asarray(theta["a"])
    np.testing.assert_allclose(gradient(theta, eta), 3 * a**2, rtol=1e-12)
    by_theta = jax.jacobian(gradient)(theta, eta)["a"]
    np.testing.assert_allclose(by_theta, np.diag(-1.7 * np.sin(a)), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jax.jacobian(gradient, argnums=1)(theta, eta), np.cos(a), rtol=1e-12)
