"""A 3×3 convolution, ReLU, 2×2 max-pooling, as a flax layer."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import DTypeLike

from hessdiag.rl.conv_products import (
    Bias,
    Images,
    Kernel,
    Pooled,
    conv_pool_products,
    conv_pool_tiles,
    conv_pool_winograd,
)


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


FORMS = {
    "auto": conv_pool,
    "tiles": conv_pool_tiles,
    "winograd": conv_pool_winograd,
    "xla": conv_pool_xla,
}


class ConvPool(nn.Module):
    """3×3 convolution (zero padded, stride 1) → ReLU → 2×2 max-pool (stride 2).

    Attributes:
        features: number of output maps.
        form: "tiles", "winograd", "xla", or "auto": the cheaper of the first two on CPU, XLA
            elsewhere.
        param_dtype: dtype of kernel and bias.
    """

    features: int
    form: str = "auto"
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Pooled:
        """Apply the layer; parameters are named as in `flax.linen.Conv`."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        return FORMS[self.form](x, kernel, bias)
