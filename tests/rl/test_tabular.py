"""Values against linear solves in NumPy, samples against exact expectations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.rl import tabular
from tests.oracles.meta_gradient import central_differences


@pytest.fixture(scope="module")
def drawn():
    """A process that is less sure of where it goes, in double precision, and logits."""
    with jax.enable_x64(True):
        mdp = tabular.random_mdp(jax.random.key(1), 6, 3, concentration=0.5, discount=0.9)
        return mdp, jax.random.normal(jax.random.key(2), (6, 3))


def under(mdp, theta):
    """(P_π, r_π, π) in NumPy."""
    probs = np.exp(np.asarray(theta))
    probs /= probs.sum(axis=1, keepdims=True)
    onward = np.einsum("sa,sat->st", probs, np.asarray(mdp.transitions))
    return onward, (probs * np.asarray(mdp.rewards)).sum(axis=1), jnp.asarray(probs)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_rows_of_next_to_deterministic_transitions_sum_to_one(precision):
    with jax.enable_x64(precision == "double"):
        mdp = tabular.random_mdp(jax.random.key(0))
        rows = np.asarray(mdp.transitions)
    assert rows.shape == (20, 5, 20)
    assert (mdp.discount, mdp.start) == (0.8, 0)
    np.testing.assert_allclose(rows.sum(axis=-1), 1.0, atol=4 * np.finfo(rows.dtype).eps)
    assert rows.min() >= 0
    # of Dirichlet(0.001) on 20 outcomes the largest probability is above 0.99 nearly always
    assert np.mean(rows.max(axis=-1) > 0.99) > 0.9
    assert len(set(rows.argmax(axis=-1).ravel())) == 20
    paid = np.asarray(mdp.rewards)
    assert 0 <= paid.min() < 0.1 < 0.9 < paid.max() <= 1


def test_a_key_gives_the_same_process_in_either_precision():
    single = tabular.random_mdp(jax.random.key(3))
    with jax.enable_x64(True):
        double = tabular.random_mdp(jax.random.key(3))
        assert double.transitions.dtype == jnp.float64
    np.testing.assert_allclose(single.transitions, double.transitions, atol=1e-4)
    np.testing.assert_array_equal(single.rewards, double.rewards)


@pytest.mark.parametrize("concentration", [0.05, 1.0, 20.0])
def test_spread_of_transitions_is_that_of_a_dirichlet(concentration):
    """E Σ p² = (c + 1) / (k c + 1)."""
    mdp = tabular.random_mdp(jax.random.key(0), 10, 200, concentration=concentration)
    squares = np.sum(np.asarray(mdp.transitions) ** 2, axis=-1).ravel()
    expected = (concentration + 1) / (10 * concentration + 1)
    assert abs(squares.mean() - expected) < 5 * squares.std() / np.sqrt(squares.size)


@pytest.mark.usefixtures("x64")
def test_values_are_the_linear_solve(drawn):
    mdp, theta = drawn
    onward, paid, probs = under(mdp, theta)
    np.testing.assert_allclose(tabular.policy(theta), probs, rtol=1e-12)
    v = np.linalg.solve(np.eye(6) - 0.9 * onward, paid)
    np.testing.assert_allclose(tabular.values(mdp, probs), v, rtol=1e-12)
    np.testing.assert_allclose(tabular.expected_return(mdp, probs), v[0], rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_truncated_return_is_the_sum_of_its_steps(drawn):
    mdp, theta = drawn
    onward, paid, probs = under(mdp, theta)
    bootstrap = np.linspace(-1, 1, 6)
    powers = [np.linalg.matrix_power(onward, t)[0] for t in range(5)]
    expected = sum(0.9**t * powers[t] @ paid for t in range(4))
    np.testing.assert_allclose(tabular.truncated_return(mdp, probs, 4), expected, rtol=1e-12)
    expected += 0.9**4 * powers[4] @ bootstrap
    got = tabular.truncated_return(mdp, probs, 4, jnp.asarray(bootstrap))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    exact = tabular.expected_return(mdp, probs)
    np.testing.assert_allclose(tabular.truncated_return(mdp, probs, 400), exact, rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_hessian_of_the_expected_return(drawn):
    """Central differences of the NumPy solve, twice."""
    mdp, theta = drawn

    def value(flat):
        onward, paid, _ = under(mdp, flat.reshape(6, 3))
        return np.linalg.solve(np.eye(6) - 0.9 * onward, paid)[0]

    def gradient(flat):
        return central_differences(value, flat, step=1e-3)

    flat = np.asarray(theta).ravel()
    steps = 1e-3 * np.eye(flat.size)
    expected = np.array([(gradient(flat + d) - gradient(flat - d)) / 2e-3 for d in steps])
    got = jax.hessian(lambda x: tabular.expected_return(mdp, tabular.policy(x.reshape(6, 3))))(
        jnp.asarray(flat)
    )
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.usefixtures("x64")
def test_samples_follow_the_process(drawn):
    mdp, theta = drawn
    _, _, probs = under(mdp, theta)
    seen = tabular.sample(mdp, jnp.asarray(probs), jax.random.key(5), 4000, 3)
    states, actions = np.asarray(seen.states), np.asarray(seen.actions)
    assert (states.shape, actions.shape) == ((4000, 4), (4000, 3))
    assert np.all(states[:, 0] == mdp.start)
    np.testing.assert_array_equal(seen.rewards, np.asarray(mdp.rewards)[states[:, :-1], actions])
    transitions = np.asarray(mdp.transitions)
    for t in range(3):
        for s in range(6):
            here = states[:, t] == s
            count = here.sum()
            shares = np.bincount(actions[here, t], minlength=3) / max(count, 1)
            assert np.all(np.abs(shares - probs[s]) <= 5 * np.sqrt(0.25 / max(count, 1)))
            for a in range(3):
                pair = here & (actions[:, t] == a)
                shares = np.bincount(states[pair, t + 1], minlength=6) / max(pair.sum(), 1)
                bound = 5 * np.sqrt(0.25 / max(pair.sum(), 1))
                assert np.all(np.abs(shares - transitions[s, a]) <= bound)
    log_probs = np.log(probs)[states[:, :-1], actions]
    np.testing.assert_allclose(tabular.log_prob(theta, seen), log_probs, rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_a_start_elsewhere(drawn):
    mdp, theta = drawn
    moved = mdp._replace(start=4)
    probs = tabular.policy(theta)
    assert float(tabular.expected_return(moved, probs)) == float(tabular.values(mdp, probs)[4])
    seen = tabular.sample(moved, probs, jax.random.key(5), 3, 2)
    assert set(np.asarray(seen.states[:, 0])) == {4}


@pytest.mark.usefixtures("x64")
def test_noise_of_a_critic_is_a_constant(drawn):
    mdp, theta = drawn
    noise = jnp.arange(6.0)

    def critic(theta):
        return tabular.noisy_values(mdp, tabular.policy(theta), noise)

    v = tabular.values(mdp, tabular.policy(theta))
    size = np.sqrt(np.sum(np.asarray(v) ** 2))
    np.testing.assert_allclose(critic(theta), v + np.arange(6) * size / 20, rtol=1e-12)
    slopes = jax.jacobian(critic)(theta)
    expected = jax.jacobian(lambda theta: tabular.values(mdp, tabular.policy(theta)))(theta)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)
