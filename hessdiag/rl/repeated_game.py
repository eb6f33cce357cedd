"""A repeated game of two with two actions each: exact values and samples.

Players remember the last round. State 0 is the start; state 1 + 2 a + b follows own action a and
the other's b, 0 being to defect: start, DD, DC, CD, CC as oneself sees it. A policy is a vector of
five logits of defecting (Foerster et al. 2018, "LOLA").
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

STATES = ("start", "DD", "DC", "CD", "CC")
_SWAPPED = np.array([0, 1, 3, 2, 4])  # a state as the other player sees it
Policy = Float[Array, "5"]
Rounds = Int[Array, "B T+1"]
"""States as player one sees them, from the start; they tell all actions."""


class RepeatedGame(NamedTuple):
    """A symmetric game without an end."""

    payoffs: Float[Array, "4"]  # to oneself, after DD, DC, CD, CC
    discount: float


def values(game: RepeatedGame, own: Policy, other: Policy) -> Float[Array, "5"]:
    """V of all states to oneself: (I − γ P)⁻¹ P R, differentiable to any order."""
    joint = joint_policy(own, other)  # (5, 4): of the state that follows, start excepted
    onward = jnp.concatenate([jnp.zeros_like(joint[:, :1]), joint], axis=1)
    identity = jnp.eye(len(STATES), dtype=joint.dtype)
    return jnp.linalg.solve(identity - game.discount * onward, joint @ game.payoffs)


def joint_policy(own: Policy, other: Policy) -> Float[Array, "5 4"]:
    """Probabilities of DD, DC, CD, CC by state, as oneself sees them."""
    ours = jnp.stack([jax.nn.sigmoid(own), jax.nn.sigmoid(-own)], axis=1)
    seen = other[_SWAPPED]
    theirs = jnp.stack([jax.nn.sigmoid(seen), jax.nn.sigmoid(-seen)], axis=1)
    return (ours[:, :, None] * theirs[:, None, :]).reshape(len(STATES), 4)


def play(one: Policy, two: Policy, key: PRNGKeyArray, batch: int, length: int) -> Rounds:
    """Games of T rounds."""
    log_joint = jax.nn.log_sigmoid(jnp.stack([one, -one], axis=1))[:, :, None]
    seen = two[_SWAPPED]
    log_joint = log_joint + jax.nn.log_sigmoid(jnp.stack([seen, -seen], axis=1))[:, None, :]
    log_joint = log_joint.reshape(len(STATES), 4)

    def step(states, key):
        after = 1 + jax.random.categorical(key, log_joint[states])
        return after, after

    first = jnp.zeros(batch, int)
    _, after = jax.lax.scan(step, first, jax.random.split(key, length))
    return jnp.concatenate([first[None], after]).T


def seen_by_other(rounds: Rounds) -> Rounds:
    """The same games with the players' places taken by each other."""
    return jnp.asarray(_SWAPPED)[rounds]


def paid(game: RepeatedGame, rounds: Rounds) -> Float[Array, "B T"]:
    """Payoffs to player one."""
    return game.payoffs[rounds[:, 1:] - 1]


def log_prob(own: Policy, rounds: Rounds) -> Float[Array, "B T"]:
    """Log-probability of player one's actions."""
    logits = own[rounds[:, :-1]]
    defects = rounds[:, 1:] <= 2  # DD, DC
    return jax.nn.log_sigmoid(jnp.where(defects, logits, -logits))
