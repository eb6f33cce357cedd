"""Two players with memory of one round: against linear algebra in NumPy, and counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.rl import repeated_game
from hessdiag.rl.repeated_game import RepeatedGame
from tests.oracles.dilemma import PAYOFFS, joint, value

ONE, TWO = np.array([0.3, -1.0, 0.8, 2.0, -0.4]), np.array([-0.7, 0.5, 1.5, -2.0, 0.1])


def game():
    return RepeatedGame(jnp.array(PAYOFFS), 0.96)


@pytest.mark.usefixtures("x64")
def test_values_are_those_of_the_four_joint_states():
    """P_0 (I − γ P)⁻¹ R, and for the other player with the places of DC and CD changed."""
    got = repeated_game.values(game(), jnp.array(ONE), jnp.array(TWO))
    np.testing.assert_allclose(got[0], value(ONE, TWO), rtol=1e-12)
    joint_policy = repeated_game.joint_policy(jnp.array(ONE), jnp.array(TWO))
    np.testing.assert_allclose(joint_policy, joint(ONE, TWO), rtol=1e-12)
    chain = np.linalg.solve(np.eye(4) - 0.96 * joint(ONE, TWO)[1:], np.array(PAYOFFS))
    # a state's value is of what follows it: R once more than the value of the round before
    np.testing.assert_allclose(got[1:], (chain - np.array(PAYOFFS)) / 0.96, rtol=1e-12)


def test_constant_players_are_paid_as_the_table_says():
    always = {"D": jnp.full(5, 40.0), "C": jnp.full(5, -40.0)}
    for (one, two), paid in zip(("DD", "DC", "CD", "CC"), PAYOFFS, strict=True):
        v = repeated_game.values(game(), always[one], always[two])
        np.testing.assert_allclose(v, paid / (1 - 0.96), rtol=1e-4, atol=1e-6)
        rounds = repeated_game.play(always[one], always[two], jax.random.key(0), 3, 4)
        np.testing.assert_allclose(repeated_game.paid(game(), rounds), paid)
        turned = repeated_game.seen_by_other(rounds)
        mirrored = repeated_game.play(always[two], always[one], jax.random.key(0), 3, 4)
        np.testing.assert_array_equal(turned, mirrored)


@pytest.mark.usefixtures("x64")
def test_games_follow_the_policies():
    rounds = np.asarray(
        repeated_game.play(jnp.array(ONE), jnp.array(TWO), jax.random.key(1), 3000, 6)
    )
    assert rounds.shape == (3000, 7)
    assert np.all(rounds[:, 0] == 0)
    for state in range(5):
        after = rounds[:, 1:][rounds[:, :-1] == state] - 1
        shares = np.bincount(after, minlength=4) / len(after)
        assert np.all(np.abs(shares - joint(ONE, TWO)[state]) < 5 * np.sqrt(0.25 / len(after)))


@pytest.mark.usefixtures("x64")
def test_log_probabilities_of_both_make_the_joint_one():
    rounds = repeated_game.play(jnp.array(ONE), jnp.array(TWO), jax.random.key(2), 50, 8)
    both = repeated_game.log_prob(jnp.array(ONE), rounds) + repeated_game.log_prob(
        jnp.array(TWO), repeated_game.seen_by_other(rounds)
    )
    at = np.asarray(rounds)
    expected = np.log(joint(ONE, TWO)[at[:, :-1], at[:, 1:] - 1])
    np.testing.assert_allclose(both, expected, rtol=1e-12)
