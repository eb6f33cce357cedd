"""2×2 convolutions as one matrix product over windows (Bonnet et al. 2022, published code).

The gradient of XLA's own convolution is slow on CPU, and small windows are cheap to write out.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax.nn.initializers import Initializer, variance_scaling
from jaxtyping import Array, DTypeLike, Float

HAIKU: Initializer = variance_scaling(0.87962566103423978**2, "fan_in", "truncated_normal")
"""Haiku's default: a normal of deviation fan_in^(−1/2), truncated at two of them."""


class WindowConv(nn.Module):
    """2×2 convolution, padded with zeros below and to the right where windows reach out."""

    features: int  # number of output maps
    stride: int
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H' W' F"]:
        """Apply the layer; parameters are named as in `flax.linen.Conv`."""
        shape = (2, 2, x.shape[-1], self.features)
        kernel = self.param("kernel", HAIKU, shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        windows = windows_of(x, self.stride)
        return windows @ kernel.reshape(-1, self.features) + bias[None, None, None]


def windows_of(x: Float[Array, "N H W C"], stride: int) -> Float[Array, "N H' W' 4*C"]:
    """The 2×2 windows at every `stride`-th row and column, rows first."""
    height, width = x.shape[1:3]
    ends = [-(-size // stride) * stride for size in (height, width)]  # of where windows begin
    reach = [end - stride + 2 for end in ends]
    edges = [(0, max(seen - size, 0)) for seen, size in zip(reach, (height, width), strict=True)]
    x = jnp.pad(x, ((0, 0), *edges, (0, 0)))
    corners = [(i, j) for i in range(2) for j in range(2)]
    parts = [x[:, i : ends[0] + i : stride, j : ends[1] + j : stride] for i, j in corners]
    return jnp.concatenate(parts, axis=-1)
