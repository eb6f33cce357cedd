"""A 3×3 convolution, max-pooled 2×2, ReLU: one layer, two formulations with the same values.

XLA's CPU convolution is fast on its own but slow inside scan and while loops, where inner
updates and Lanczos live, and its gradient is slow everywhere. The tile form turns the layer into
one matrix product per call: every 2×2 block of outputs, which is one pooling window, is a linear
map of the 4×4 block of inputs that it sees. The price is 16/9 of the multiplications; the gain is
a contiguous layout, four times fewer gathered values than patches, and pooling by three maxima.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

Images = Float[Array, "N H W C"]
Kernel = Float[Array, "3 3 C F"]
Bias = Float[Array, " F"]


def conv_pool_tiles(x: Images, kernel: Kernel, bias: Bias) -> Float[Array, "N H//2 W//2 F"]:
    """The layer by tiles: 4×4 input blocks times one (16 C, 4 F) matrix, then three maxima.

    Pooling comes before bias and ReLU, which are monotone: the values are those of
    conv → ReLU → max-pool with zero padding, the order of the paper's table.
    """
    features = kernel.shape[-1]
    windows = _tiles(x) @ _tile_matrix(kernel)
    a, b, c, d = (windows[..., k * features : (k + 1) * features] for k in range(4))
    return jax.nn.relu(jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d)) + bias[None, None, None])


def conv_pool_xla(x: Images, kernel: Kernel, bias: Bias) -> Float[Array, "N H//2 W//2 F"]:
    """The layer by XLA's own convolution: the faster form on GPU."""
    dims = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dims)
    return nn.max_pool(jax.nn.relu(y + bias[None, None, None]), (2, 2), strides=(2, 2))


def _tiles(x: Images) -> Float[Array, "N H//2 W//2 16*C"]:
    """The zero-padded 4×4 neighbourhood of every 2×2 block, flattened as (row, column, channel)."""
    n, height, width, channels = x.shape
    h, w = height // 2, width // 2
    x = x[:, : 2 * h + 1, : 2 * w + 1]  # an odd board's last row is seen, not pooled
    x = jnp.pad(x, ((0, 0), (1, 1 - height % 2), (1, 1 - width % 2), (0, 0)))
    pairs = x.reshape(n, h + 1, 2, w + 1, 2, channels)
    rows = jnp.concatenate([pairs[:, :-1], pairs[:, 1:]], axis=2)
    blocks = jnp.concatenate([rows[:, :, :, :-1], rows[:, :, :, 1:]], axis=4)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h, w, 16 * channels)


def _tile_matrix(kernel: Kernel) -> Float[Array, "16*C 4*F"]:
    """The kernel laid out as the map from a 4×4 input block to a 2×2 output block."""
    channels, features = kernel.shape[2:]
    shift = np.zeros((2, 3, 4))  # output u sees input u + i through tap i
    for u, i in np.ndindex(2, 3):
        shift[u, i, u + i] = 1.0
    taps = np.einsum("uia,vjb->abuvij", shift, shift).reshape(64, 9)
    spread = jnp.asarray(taps, kernel.dtype) @ kernel.reshape(9, channels * features)
    spread = spread.reshape(4, 4, 2, 2, channels, features).transpose(0, 1, 4, 2, 3, 5)
    return spread.reshape(16 * channels, 4 * features)


class ConvPool(nn.Module):
    """3×3 convolution (zero padded, stride 1) → ReLU → 2×2 max-pool (stride 2).

    Attributes:
        features: number of output maps.
        form: "tiles", "xla", or "auto": tiles on CPU and XLA elsewhere.
        param_dtype: dtype of kernel and bias.
    """

    features: int
    form: str = "auto"
    param_dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Float[Array, "N H//2 W//2 F"]:
        """Apply the layer; parameters are named as in `flax.linen.Conv`."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        on_cpu = jax.default_backend() == "cpu"
        tiles = self.form == "tiles" or (self.form == "auto" and on_cpu)
        return (conv_pool_tiles if tiles else conv_pool_xla)(x, kernel, bias)
