"""Where a Krylov run starts that follows a similar one."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def warm_start(key: Key[Array, ""], warm: Float[Array, " d"]) -> Float[Array, " d"]:
    """A random direction, and as much of what a similar run found.

    The random half finds what the other has nothing of.

    Args:
        key: Of the random direction.
        warm: A unit vector; zero if there is none. A run that failed leaves none, either: its Ritz
            vector is not finite.
    """
    random = jax.random.normal(key, warm.shape, warm.dtype)
    there = jnp.all(jnp.isfinite(warm))
    return random / jnp.linalg.norm(random) + jnp.where(there, warm, 0)
