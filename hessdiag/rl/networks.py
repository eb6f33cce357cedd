"""The networks of the paper (Bonnet et al. 2021, table 2)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, DTypeLike, Float

from hessdiag.rl.conv import ConvPool


class ValueMLP(nn.Module):
    """A value network: hidden layers with ReLU, one output."""

    hidden: Sequence[int]  # widths
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N D"]) -> Float[Array, " N"]:
        """State values of N states."""
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, param_dtype=self.param_dtype)(x))
        return nn.Dense(1, param_dtype=self.param_dtype)(x)[:, 0]


class VectorActorCritic(nn.Module):
    """Two hidden layers, shared by a policy head and a value head."""

    actions: int
    hidden: int = 64  # width of the shared layers
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N D"]) -> tuple[Float[Array, "N A"], Float[Array, " N"]]:
        """Policy logits and state values of N states."""
        for width in (self.hidden, self.hidden):
            x = nn.relu(nn.Dense(width, param_dtype=self.param_dtype)(x))
        logits = nn.Dense(self.actions, param_dtype=self.param_dtype, name="actor_out")(x)
        value = nn.Dense(1, param_dtype=self.param_dtype, name="critic_out")(x)
        return logits, value[:, 0]


class BoardActorCritic(nn.Module):
    """Two convolution blocks and a linear layer, shared by a policy head and a value head."""

    actions: int
    maps: int = 32  # feature maps of each block
    torso: int = 40  # width of the shared linear layer
    head: int = 30  # hidden width of each head
    conv_form: str = "auto"  # see `hessdiag.rl.conv.ConvPool`
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, board: Float[Array, "N H W C"]
    ) -> tuple[Float[Array, "N A"], Float[Array, " N"]]:
        """Policy logits and state values of N boards."""

        def dense(width: int, name: str) -> nn.Dense:
            return nn.Dense(width, param_dtype=self.param_dtype, name=name)

        maps = board.transpose(1, 2, 0, 3)  # positions first, as the convolutions want it
        for block in range(2):
            layer = ConvPool(
                self.maps, form=self.conv_form, param_dtype=self.param_dtype, name=f"conv_{block}"
            )
            maps = layer(maps)
        flat = maps.transpose(2, 0, 1, 3).reshape(board.shape[0], -1)
        torso = nn.relu(dense(self.torso, "torso")(flat))
        logits = dense(self.actions, "actor_out")(nn.relu(dense(self.head, "actor_hidden")(torso)))
        value = dense(1, "critic_out")(nn.relu(dense(self.head, "critic_hidden")(torso)))
        return logits, value[:, 0]


def count_parameters(params) -> int:
    """Number of scalars in a parameter pytree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
