"""Bonnet et al. 2021, sections 3.1 and C.1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.problems.mrp import MarkovRewardProcess

PROBLEM = MarkovRewardProcess(batch_size=4)


@pytest.fixture(scope="module")
def sampled():
    params, env_state = PROBLEM.start(None, jax.random.key(0))
    return params, PROBLEM.rollout(params, None, env_state, jax.random.key(1))[1]


def hyper(gammas):
    return {f"gamma_{i}": jnp.asarray(g) for i, g in enumerate(gammas)}


def test_even_rewards_are_fixed_and_odd_ones_standard_normal():
    big = problems.make("mrp", {"batch_size": 4000})
    _, rewards = big.rollout(None, None, (), jax.random.key(0))
    rewards = np.asarray(rewards)
    np.testing.assert_allclose(rewards[:, ::2], 0.1)
    odd = rewards[:, 1::2]
    assert abs(odd.mean()) < 4 / np.sqrt(odd.size)
    assert abs(odd.std() - 1) < 4 / np.sqrt(2 * odd.size)


def test_inner_loss_uses_the_printed_non_recursive_targets(sampled):
    params, rewards = sampled
    gammas = np.linspace(0.2, 0.9, 10)
    v = np.asarray(PROBLEM.values(params))
    loss = 0.0
    for r in np.asarray(rewards):
        for i in range(10):
            target = sum(gammas[j] ** (j - i + 1) * r[j] for j in range(i, 10))
            loss += 0.5 * (target - v[i]) ** 2 / (10 * len(rewards))
    np.testing.assert_allclose(PROBLEM.inner_loss(params, hyper(gammas), rewards), loss, rtol=1e-5)


def test_outer_targets_are_undiscounted_returns(sampled):
    params, rewards = sampled
    v = np.asarray(PROBLEM.values(params))
    to_go = np.cumsum(np.asarray(rewards)[:, ::-1], axis=1)[:, ::-1]
    expected = 0.5 * np.mean((to_go - v) ** 2)
    np.testing.assert_allclose(PROBLEM.outer_loss(params, None, rewards), expected, rtol=1e-5)


def test_true_values_of_the_metric():
    """E g'(s_i) = 0.1 times the number of even states to come."""

    class Perfect:
        def apply(self, params, inputs):
            del params, inputs
            return jnp.array([0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0])

    perfect = problems.make("mrp", {})
    perfect.__dict__["network"] = Perfect()
    assert float(perfect.metrics(None, None)["value_error"]) < 1e-12


def test_a_process_without_states_is_refused():
    with pytest.raises(UsageError, match=r"problem\.states: 0 is not allowed; allowed: 1 to 1000"):
        problems.make("mrp", {"states": 0})
