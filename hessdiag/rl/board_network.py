"""A network from boards to a few numbers (Bonnet et al. 2022, published code for Snake)."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, DTypeLike, Float

from hessdiag.rl.window_conv import HAIKU, WindowConv


class BoardNetwork(nn.Module):
    """Convolutions 2×2 of stride 2 and of stride 1, then an MLP; ReLU between all layers."""

    hidden: Sequence[int]  # widths
    outputs: int
    maps: int = 32  # feature maps of each convolution
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, board: Float[Array, "N H W C"]) -> Float[Array, "N O"]:
        """The outputs for N boards."""
        maps = board
        for stride in (2, 1):
            layer = WindowConv(self.maps, stride, self.param_dtype, name=f"conv_{2 - stride}")
            maps = nn.relu(layer(maps))
        flat = maps.reshape(len(board), -1)
        for place, width in enumerate((*self.hidden, self.outputs)):
            flat = nn.relu(flat) if place else flat
            flat = nn.Dense(
                width, kernel_init=HAIKU, param_dtype=self.param_dtype, name=f"dense_{place}"
            )(flat)
        return flat
