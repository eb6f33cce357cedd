"""Intrinsic rewards: the exact meta-gradient in NumPy, and which paths it has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.inner import CUTS, inner_optimiser
from hessdiag.meta import ESTIMATORS, Options, System, again
from hessdiag.problems.lirpg import LIRPG
from tests.oracles import tabular as oracle

SMALL = {"states": 4, "actions": 3, "concentration": 0.5, "mdp_seed": 3}
RATE = 2.0
REWARD = np.random.default_rng(1).normal(size=(4, 3))


def meta_gradient(problem, n, cut="full"):
    """(gradient, outer loss) at REWARD, from one key."""
    system = System.of(problem, inner_optimiser("sgd", RATE), lambda _: RATE)
    estimator = ESTIMATORS["n-step"](Options(n=n, keep=0, cut=CUTS[cut]))

    @jax.jit
    def single(eta):
        step = estimator(system, again(system, eta, jax.random.key(0)), jax.random.key(1), ())
        return step.meta_gradient, step.outer_loss

    return single(jnp.asarray(REWARD.ravel()))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.usefixtures("x64")
def test_exact_meta_gradient(n):
    """d/dη of V without η after n updates with it, from the uniform policy."""
    problem = LIRPG(**SMALL, surrogate="exact", batch_size=2)
    gradient, loss = meta_gradient(problem, n)
    mdp = problem.mdp
    transitions, rewards, gamma = np.asarray(mdp.transitions), np.asarray(mdp.rewards), 0.8

    def after(eta):
        theta = oracle.ascended(transitions, rewards + eta, gamma, np.zeros((4, 3)), RATE, n)
        return oracle.value(transitions, rewards, gamma, theta)

    np.testing.assert_allclose(-loss, after(REWARD), rtol=1e-10)
    steps = [1e-30j * d.reshape(4, 3) for d in np.eye(12)]
    expected = [after(REWARD + d).imag / 1e-30 for d in steps]
    np.testing.assert_allclose(-gradient, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_at_one_inner_step_no_hessian_enters():
    problem = LIRPG(**SMALL, rollout_length=5)
    full, cut = meta_gradient(problem, 1)[0], meta_gradient(problem, 1, "no-hessian")[0]
    np.testing.assert_array_equal(full, cut)
    assert np.abs(full).max() > 1e-3
    full, cut = meta_gradient(problem, 2)[0], meta_gradient(problem, 2, "no-hessian")[0]
    assert np.abs(full - cut).max() > 1e-3 * np.abs(full).max()


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.usefixtures("x64")
def test_inner_gradient_and_its_derivative_in_the_rewards(attached):
    """With GAE at λ = 0.9, written out; the critic of R + η moves with η where it is attached."""
    problem = LIRPG(**SMALL, batch_size=3, rollout_length=4, critic_gradient=attached)
    theta = np.random.default_rng(2).normal(size=(4, 3))
    params = {"logits": jnp.asarray(theta)}
    _, drawn = problem.rollout(params, None, problem.mdp, jax.random.key(2))
    states, actions = np.asarray(drawn.episodes.states), np.asarray(drawn.episodes.actions)
    mdp = problem.mdp
    transitions, rewards, gamma = np.asarray(mdp.transitions), np.asarray(mdp.rewards), 0.8
    probs = oracle.policy(theta)
    onward = np.einsum("sa,sat->st", probs, transitions)

    def exact(eta):
        return np.linalg.solve(np.eye(4) - gamma * onward, (probs * (rewards + eta)).sum(axis=1))

    noise = 0.05 * np.linalg.norm(exact(REWARD)) * np.asarray(drawn.noise)  # a constant

    def gradient(eta):
        """Of the loss in the logits."""
        critic = exact(eta if attached else REWARD) + noise
        total = np.zeros((4, 3), complex)
        for i in range(3):
            s, a = states[i], actions[i]
            delta = (rewards + eta)[s[:-1], a] + gamma * critic[s[1:]] - critic[s[:-1]]
            for t in range(4):
                gain = sum((0.9 * gamma) ** (k - t) * delta[k] for k in range(t, 4))
                total[s[t]] -= gamma**t * gain * (np.eye(3)[a[t]] - probs[s[t]]) / 3
        return total

    def ours(eta):
        return jax.grad(problem.inner_loss)(params, {"reward": eta}, drawn)["logits"]

    eta = jnp.asarray(REWARD)
    np.testing.assert_allclose(ours(eta), np.real(gradient(REWARD)), rtol=1e-9, atol=1e-12)
    steps = [1e-30j * d.reshape(4, 3) for d in np.eye(12)]
    expected = np.stack([np.imag(gradient(REWARD + d)) / 1e-30 for d in steps], axis=-1)
    mixed = np.asarray(jax.jacobian(ours)(eta)).reshape(4, 3, 12)
    np.testing.assert_allclose(mixed, expected, rtol=1e-8, atol=1e-11)


def test_the_outer_loss_knows_no_intrinsic_rewards():
    problem = problems.make("lirpg", {"outer": "dice"})
    params, env_state = problem.start(None, jax.random.key(0))
    _, drawn = problem.rollout(params, None, env_state, jax.random.key(1))
    paid = np.asarray(drawn.episodes.rewards) @ 0.8 ** np.arange(20)
    np.testing.assert_allclose(problem.outer_loss(params, None, drawn), -paid.mean(), rtol=1e-5)
    assert not np.asarray(problem.init_eta(jax.random.key(0))["reward"]).any()


@pytest.mark.parametrize(("key", "value"), [("lam", 1.5), ("surrogate", "gae"), ("batch_size", 0)])
def test_what_is_not_allowed_is_refused(key, value):
    with pytest.raises(UsageError, match=rf"problem\.{key}.*: .*{value}.* is not allowed; allowed"):
        problems.make("lirpg", {key: value})
