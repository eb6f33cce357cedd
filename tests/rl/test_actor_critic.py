import jax
import jax.numpy as jnp
import numpy as np
import rlax

from hessdiag.rl.actor_critic import Transitions, actor_critic_losses
from tests.tolerance import assert_close

T, ACTIONS = 12, 4


def example(seed: int = 0):
    keys = jax.random.split(jax.random.key(seed), 5)
    logits = jax.random.normal(keys[0], (T, ACTIONS))
    values = jax.random.normal(keys[1], (T + 1,))
    transitions = Transitions(
        action=jax.random.randint(keys[2], (T,), 0, ACTIONS),
        reward=jax.random.normal(keys[3], (T,)),
        discount=jax.random.bernoulli(keys[4], 0.8, (T,)).astype(jnp.float32),
    )
    return logits, values, transitions


def losses(logits, values, transitions, gamma=0.9, lam=0.8):
    return actor_critic_losses(logits, values, transitions, gamma=gamma, lam=lam)


def test_values_equal_rlax():
    logits, values, transitions = example()
    made = losses(logits, values, transitions)
    targets = rlax.lambda_returns(transitions.reward, 0.9 * transitions.discount, values[1:], 0.8)
    chosen = np.log(np.asarray(jax.nn.softmax(logits)))[np.arange(T), transitions.action]
    assert_close(made.policy, -np.mean((targets - values[:-1]) * chosen))
    assert_close(made.critic, 0.5 * jnp.mean((targets - values[:-1]) ** 2))
    assert_close(
        made.entropy, jnp.mean(jnp.sum(jax.scipy.special.entr(jax.nn.softmax(logits)), axis=-1))
    )


def test_targets_are_constant_in_the_network():
    """Only v(s_t) of the critic term carries a gradient to the values."""
    logits, values, transitions = example()
    made = losses(logits, values, transitions)
    to_policy = jax.grad(lambda v: losses(logits, v, transitions).policy)(values)
    assert_close(to_policy, jnp.zeros_like(values))
    to_critic = jax.grad(lambda v: losses(logits, v, transitions).critic)(values)
    targets = rlax.lambda_returns(transitions.reward, 0.9 * transitions.discount, values[1:], 0.8)
    expected = jnp.append(-(targets - values[:-1]) / T, 0.0)
    assert_close(to_critic, expected)
    assert made.critic > 0


def test_policy_term_carries_the_gradient_of_gamma_and_lambda():
    logits, values, transitions = example()
    for name in ("gamma", "lam"):
        slope = jax.grad(
            lambda x, name=name: losses(logits, values, transitions, **{name: x}).policy
        )
        assert abs(float(slope(0.7))) > 1e-3


def test_hessian_is_symmetric_although_targets_are_stopped():
    logits, values, transitions = example()

    def loss(flat):
        made = losses(flat[: T * ACTIONS].reshape(T, ACTIONS), flat[T * ACTIONS :], transitions)
        return made.policy + 0.5 * made.critic - 0.01 * made.entropy

    hessian = np.asarray(jax.jit(jax.hessian(loss))(jnp.concatenate([logits.ravel(), values])))
    assert np.abs(hessian).max() > 1e-2
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-7)
