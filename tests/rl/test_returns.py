import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from hessdiag.rl.actor_critic import lambda_returns
from tests.tolerance import assert_close

T = 17


def random_trajectory(seed: int):
    keys = jax.random.split(jax.random.key(seed), 3)
    rewards = jax.random.normal(keys[0], (T,))
    discounts = 0.97 * jax.random.bernoulli(keys[1], 0.8, (T,)).astype(jnp.float32)
    return rewards, discounts, jax.random.normal(keys[2], (T,))


@pytest.mark.parametrize("lam", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_rlax(lam, seed):
    rewards, discounts, values = random_trajectory(seed)
    expected = rlax.lambda_returns(rewards, discounts, values, lam)
    assert_close(lambda_returns(rewards, discounts, values, lam), expected)


def test_derivative_in_lambda_and_gamma_equals_rlax():
    rewards, discounts, values = random_trajectory(2)

    def total(returns, gamma, lam):
        return jnp.sum(returns(rewards, gamma * discounts, values, lam) ** 2)

    ours = jax.grad(lambda g, lam: total(lambda_returns, g, lam), argnums=(0, 1))(0.9, 0.7)
    theirs = jax.grad(lambda g, lam: total(rlax.lambda_returns, g, lam), argnums=(0, 1))(0.9, 0.7)
    assert_close(ours, theirs)


def test_lambda_one_is_the_discounted_sum_with_bootstrap():
    rewards, values = np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.0, 10.0])
    returns = lambda_returns(jnp.array(rewards), jnp.full(3, 0.5), jnp.array(values), 1.0)
    np.testing.assert_allclose(returns, [1 + 1 + 1 + 1.25, 2 + 2 + 2.5, 4 + 5], rtol=1e-6)
