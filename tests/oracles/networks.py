"""The Snake network written with stock flax layers, sharing the parameters of ours."""

import jax.numpy as jnp
from flax import linen as nn


class StockBoardActorCritic(nn.Module):
    """`nn.Conv` and `nn.max_pool` in the order of the paper's table 2."""

    maps: int = 32
    torso: int = 40
    head: int = 30

    @nn.compact
    def __call__(self, board):
        dtype = board.dtype
        for block in range(2):
            conv = nn.Conv(
                self.maps, (3, 3), padding="SAME", param_dtype=dtype, name=f"conv_{block}"
            )
            board = nn.max_pool(nn.relu(conv(board)), (2, 2), strides=(2, 2))
        torso = nn.relu(nn.Dense(self.torso, name="torso")(board.reshape(board.shape[0], -1)))
        hidden = nn.relu(nn.Dense(self.head, name="actor_hidden")(torso))
        logits = nn.Dense(4, name="actor_out")(hidden)
        hidden = nn.relu(nn.Dense(self.head, name="critic_hidden")(torso))
        value = nn.Dense(1, name="critic_out")(hidden)
        return logits, jnp.squeeze(value, -1)
