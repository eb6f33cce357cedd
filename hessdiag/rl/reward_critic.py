"""A critic of two players that learns the reward of a round from the state before it.

Five values a player, by Adam on squared errors: the baseline of Liu et al. 2022's code. It learns
the immediate reward, which is no value of what is to come.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from hessdiag.rl.repeated_game import STATES, RepeatedGame, Rounds, paid

_ADAM = optax.adam(0.1)  # as published


class RewardCritic(NamedTuple):
    """Values of both players, and what Adam remembers."""

    values: Float[Array, "2 5"]
    memory: optax.OptState


def untaught() -> RewardCritic:
    """Values of zero."""
    values = jnp.zeros((2, len(STATES)))
    return RewardCritic(values, _ADAM.init(values))


def taught(critic: RewardCritic, game: RepeatedGame, played: Sequence[Rounds]) -> RewardCritic:
    """After one step on games of either player, each as that one sees them."""

    def loss(values):
        errors = [
            paid(game, rounds) - own[rounds[:, :-1]]
            for own, rounds in zip(values, played, strict=True)
        ]
        return sum(jnp.mean(error**2) for error in errors)

    change, memory = _ADAM.update(jax.grad(loss)(critic.values), critic.memory)
    return RewardCritic(critic.values + jnp.asarray(change), memory)
