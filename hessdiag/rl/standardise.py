"""Advantages of mean zero and variance one, whose scale no derivative follows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-5  # added to the variance: that of the published code


def standardised(
    advantages: Float[Array, "*S"], weights: Float[Array, "*S"] | None = None
) -> Float[Array, "*S"]:
    """(A − mean) / √(variance + 1e-5), mean and variance held constant.

    Args:
        advantages: A, of a whole batch.
        weights: how often each occurs, with sum one; equally often if None.
    """
    weights = jnp.full_like(advantages, 1 / advantages.size) if weights is None else weights
    frozen = jax.lax.stop_gradient(advantages)
    mean = jnp.sum(weights * frozen)
    variance = jnp.sum(weights * frozen**2) - mean**2
    return (advantages - mean) * jax.lax.rsqrt(variance + _EPSILON)
