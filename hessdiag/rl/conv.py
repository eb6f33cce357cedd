"""A 3×3 convolution, ReLU, 2×2 max-pooling, as a flax layer, by XLA or as matrix products.

XLA's CPU convolution is fast on its own but slow inside scan and while loops, where inner
updates and Lanczos live, and its gradient is slow everywhere. Both forms here work on windows: a
window is a 2×2 block of outputs, pooled into one, and sees a 4×4 block of inputs.

- Tiles: every output of a window is a linear map of its input block. Products are few and
  large; the price is 16/9 of the multiplications.
- Winograd's F(2×2, 3×3) (Lavin and Gray 2016, section 4.1): 16 products, one for each place in a
  transformed block, with 4/9 of the multiplications. The price is the transforms.

Channels are the last axis, columns of products: then the derivative of a product is a product in
the same layout, nothing is transposed, and pooling compares whole rows.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, DTypeLike, Float

Images = Float[Array, "H W N C"]
Pooled = Float[Array, "H//2 W//2 N F"]
Kernel = Float[Array, "3 3 C F"]
Bias = Float[Array, " F"]

# Winograd's F(2, 3): y = OUT [(TAPS g) · (IN d)] for 4 inputs d, 3 taps g and 2 outputs y.
_IN = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float)
_TAPS = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
_OUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], float)


class ConvPool(nn.Module):
    """3×3 convolution (zero padded, stride 1) → ReLU → 2×2 max-pool (stride 2)."""

    features: int  # number of output maps
    form: str = "auto"  # the cheaper of "tiles" and "winograd" on CPU, "xla" elsewhere
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Pooled:
        """Apply the layer; parameters are named as in `flax.linen.Conv`."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        return FORMS[self.form](x, kernel, bias)


def conv_pool_xla(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer by XLA's own convolution: the faster form on GPU."""
    dims = ("NHWC", "HWIO", "NHWC")
    x = x.transpose(2, 0, 1, 3)
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dims)
    y = nn.max_pool(jax.nn.relu(y + bias[None, None, None]), (2, 2), strides=(2, 2))
    return y.transpose(1, 2, 0, 3)


def conv_pool(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer in the form that is fastest here."""
    fastest = conv_pool_products if jax.default_backend() == "cpu" else conv_pool_xla
    return fastest(x, kernel, bias)


def conv_pool_products(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer in the form that multiplies less: Winograd's, unless channels are few."""
    height, width, _, _ = x.shape
    channels, features = kernel.shape[2:]
    by_tiles = 64 * channels * features  # per window
    by_winograd = 16 * (channels * features + height * width * channels + 4 * features)
    form = conv_pool_tiles if by_tiles < by_winograd else conv_pool_winograd
    return form(x, kernel, bias)


def conv_pool_tiles(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer by tiles: all 4×4 input blocks times a (16 C, F) matrix for each output.

    One matrix for each output of a window, rather than one for all: its outputs are then arrays of
    their own, and the gradient of pooling writes them without padding.
    """
    height, width, num, _ = x.shape
    blocks = _blocks(x)
    outputs = [blocks @ matrix for matrix in _tile_matrices(kernel)]
    return _pooled(outputs, bias).reshape(height // 2, width // 2, num, -1)


def conv_pool_winograd(x: Images, kernel: Kernel, bias: Bias) -> Pooled:
    """The layer by Winograd's minimal filtering, transforms as matrix products.

    The input transform is one matrix from positions to all windows' transformed blocks; it also
    does the zero padding.
    """
    height, width, num, channels = x.shape
    seen = jnp.asarray(_windows(height, width), x.dtype) @ x.reshape(height * width, -1)
    taps = jnp.asarray(np.kron(_TAPS, _TAPS), x.dtype) @ kernel.reshape(9, -1)
    products = seen.reshape(16, -1, channels) @ taps.reshape(16, channels, -1)
    outputs = jnp.asarray(np.kron(_OUT, _OUT), x.dtype) @ products.reshape(16, -1)
    pooled = _pooled(outputs.reshape(4, -1, kernel.shape[-1]), bias)
    return pooled.reshape(height // 2, width // 2, num, -1)


FORMS = {
    "auto": conv_pool,
    "tiles": conv_pool_tiles,
    "winograd": conv_pool_winograd,
    "xla": conv_pool_xla,
}


def _pooled(outputs, bias: Bias) -> Float[Array, "windows F"]:
    """Max-pool the 4 outputs of each window, then bias and ReLU, which are monotone."""
    top, bottom = _larger(*outputs[:2]), _larger(*outputs[2:])
    return jax.nn.relu(_larger(top, bottom) + bias[None])


def _larger(a: Array, b: Array) -> Array:
    """The larger of two, the first of equals: derivatives follow the one that was taken."""
    return jnp.where(jax.lax.stop_gradient(a) >= jax.lax.stop_gradient(b), a, b)


def _blocks(x: Images) -> Float[Array, "H//2*W//2*N 16*C"]:
    """The zero-padded 4×4 neighbourhood of every window, a block per row."""
    height, width, num, channels = x.shape
    h, w = height // 2, width // 2
    x = x[: 2 * h + 1, : 2 * w + 1]  # an odd board's last row is seen, not pooled
    edges = ((1, 1 - height % 2), (0, 0), (1, 1 - width % 2), (0, 0))
    rows = jnp.pad(x.transpose(0, 2, 1, 3), edges).reshape(2 * h + 2, num, -1)
    starts = range(0, 2 * w * channels, 2 * channels)
    fours = jnp.stack([rows[:, :, at : at + 4 * channels] for at in starts], axis=1)
    blocks = jnp.concatenate([fours[row : row + 2 * h : 2] for row in range(4)], axis=-1)
    return blocks.reshape(h * w * num, 16 * channels)


def _tile_matrices(kernel: Kernel) -> Float[Array, "4 16*C F"]:
    """For each output of a window, the kernel as a map from the window's input block."""
    channels, features = kernel.shape[2:]
    shift = np.zeros((2, 3, 4))  # output u sees input u + i through tap i
    for u, i in np.ndindex(2, 3):
        shift[u, i, u + i] = 1.0
    taps = np.einsum("uia,vjb->uvabij", shift, shift).reshape(64, 9)
    spread = jnp.asarray(taps, kernel.dtype) @ kernel.reshape(9, channels * features)
    return spread.reshape(4, 16 * channels, features)


@cache
def _windows(height: int, width: int) -> Float[np.ndarray, "16*H//2*W//2 H*W"]:
    """From positions to the transformed input blocks of all windows; outside is zero."""
    rows, columns = (_IN @ _sight(size) for size in (height, width))
    return np.einsum("pas,qbt->abpqst", rows, columns).reshape(-1, height * width)


def _sight(size: int) -> Float[np.ndarray, "size//2 4 size"]:
    """Which positions along one axis each window sees: 2p − 1 to 2p + 2."""
    sight = np.zeros((size // 2, 4, size))
    for window, place in np.ndindex(size // 2, 4):
        position = 2 * window - 1 + place
        if 0 <= position < size:
            sight[window, place, position] = 1.0
    return sight
