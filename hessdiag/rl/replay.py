"""Games that are kept, with how likely their actions were when they were played.

What others played can be learned from with importance weights: Π π_new / π_old over the actions so
far (Liu et al. 2022's code keeps 1,024 games).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.rl.repeated_game import Rounds


class Replay(NamedTuple):
    """The last S games, oldest first."""

    rounds: Rounds  # (S, T+1), as player one sees them
    log_probs: Float[Array, "S T"]  # of both players' actions, by the policies that played


def added(replay: Replay, rounds: Rounds, log_probs: Float[Array, "B T"]) -> Replay:
    """With games more, in place of the oldest."""
    size = len(replay.rounds)
    return Replay(
        jnp.concatenate([replay.rounds, rounds])[-size:],
        jnp.concatenate([replay.log_probs, log_probs])[-size:],
    )
