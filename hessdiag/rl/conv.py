"""A 3×3 convolution, max-pooled 2×2, ReLU: one layer, two formulations with the same values.

XLA's CPU convolution is fast on its own but slow inside scan and while loops, where inner
updates and Lanczos live, and its gradient is slow everywhere. The tile form turns the layer into
one matrix product per call: every 2×2 block of outputs, which is one pooling window, is a linear
map of the 4×4 block of inputs that it sees. The price is 16/9 of the multiplications; the gain is
that blocks are copied in long contiguous runs (the batch is the last axis), that pooling is three
maxima of whole rows, and that no large array is transposed in the gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

Images = Float[Array, "C H W N"]  # the batch last
Pooled = Float[Array, "F H//2 W//2 N"]
Kernel = Float[Array, "3 3 C F"]
Bias = Float[Array, " F"]


def conv_pool_tiles(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer by tiles: one (4 F, 16 C) matrix times all 4×4 input blocks, then three maxima.

    Pooling comes before bias and ReLU, which are monotone: the values are those of
    conv → ReLU → max-pool with zero padding.
    """
    _, height, width, num = x.shape
    windows = (_tile_matrix(kernel) @ _tiles(x)).reshape(4, kernel.shape[-1], -1)
    pooled = jnp.maximum(jnp.maximum(windows[0], windows[1]), jnp.maximum(windows[2], windows[3]))
    return jax.nn.relu(pooled + bias[:, None]).reshape(-1, height // 2, width // 2, num)


def conv_pool_xla(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer by XLA's own convolution: the faster form on GPU."""
    dims = ("NHWC", "HWIO", "NHWC")
    x = x.transpose(3, 1, 2, 0)
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dims)
    y = nn.max_pool(jax.nn.relu(y + bias[None, None, None]), (2, 2), strides=(2, 2))
    return y.transpose(3, 1, 2, 0)


def _tiles(x: Images) -> Float[Array, "16*C H//2*W//2*N"]:
    """The zero-padded 4×4 neighbourhood of every 2×2 block, a block per column."""
    channels, height, width, num = x.shape
    h, w = height // 2, width // 2
    x = x[:, : 2 * h + 1, : 2 * w + 1]  # an odd board's last row is seen, not pooled
    x = jnp.pad(x, ((0, 0), (1, 1 - height % 2), (1, 1 - width % 2), (0, 0)))
    pairs = x.reshape(channels, h + 1, 2, w + 1, 2, num)
    blocks = [
        pairs[:, row // 2 : row // 2 + h, row % 2, col // 2 : col // 2 + w, col % 2]
        for row, col in np.ndindex(4, 4)
    ]
    return jnp.stack(blocks).reshape(16 * channels, h * w * num)


def _tile_matrix(kernel: Kernel) -> Float[Array, "4*F 16*C"]:
    """The kernel laid out as the map from a 4×4 input block to a 2×2 output block."""
    channels, features = kernel.shape[2:]
    shift = np.zeros((2, 3, 4))  # output u sees input u + i through tap i
    for u, i in np.ndindex(2, 3):
        shift[u, i, u + i] = 1.0
    taps = np.einsum("uia,vjb->uvabij", shift, shift).reshape(64, 9)
    spread = jnp.asarray(taps, kernel.dtype) @ kernel.reshape(9, channels * features)
    spread = spread.reshape(4, 16, channels, features).transpose(0, 3, 1, 2)
    return spread.reshape(4 * features, 16 * channels)


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
    def __call__(self, x: Images) -> Pooled:
        """Apply the layer; parameters are named as in `flax.linen.Conv`."""
        shape = (3, 3, x.shape[0], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        on_cpu = jax.default_backend() == "cpu"
        tiles = self.form == "tiles" or (self.form == "auto" and on_cpu)
        return (conv_pool_tiles if tiles else conv_pool_xla)(x, kernel, bias)
