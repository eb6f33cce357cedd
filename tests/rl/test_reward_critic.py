"""A critic of rewards: one step of Adam, and where many lead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.rl import repeated_game, reward_critic
from hessdiag.rl.repeated_game import RepeatedGame, seen_by_other
from tests.oracles.dilemma import PAYOFFS

pytestmark = pytest.mark.usefixtures("x64")
ONE, TWO = jnp.array([0.3, -1.0, 0.8, 2.0, -0.4]), jnp.array([-0.7, 0.5, 1.5, -2.0, 0.1])


def played():
    rounds = repeated_game.play(ONE, TWO, jax.random.key(0), 40, 12)
    return rounds, seen_by_other(rounds)


def game():
    return RepeatedGame(jnp.array(PAYOFFS), 0.96)


def test_the_first_step_is_one_of_adam():
    """Of the learning rate, towards the rewards, which are negative on average in every state."""
    first = reward_critic.taught(reward_critic.untaught(), game(), played())
    np.testing.assert_allclose(first.values, -0.1, rtol=1e-6)


def test_it_learns_the_mean_reward_of_the_round_that_follows():
    critic = jax.lax.fori_loop(
        0,
        600,
        lambda _, critic: reward_critic.taught(critic, game(), played()),
        reward_critic.untaught(),
    )
    for values, rounds in zip(critic.values, played(), strict=True):
        before, rewards = (
            np.asarray(rounds)[:, :-1],
            np.array(PAYOFFS)[np.asarray(rounds)[:, 1:] - 1],
        )
        means = [rewards[before == state].mean() for state in range(5)]
        np.testing.assert_allclose(values, means, atol=1e-4)
