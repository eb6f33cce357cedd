"""The optimiser's state as derivatives see it: its floating-point leaves, as one flat vector.

Counters steer bias corrections and schedules but carry no derivative.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.spectra import Space


class Memory(NamedTuple):
    """What an optimiser remembers."""

    flat: Float[Array, " k"]  # m and v under Adam
    space: Space


def held_memory(opt_state: Any, dtype: Any) -> tuple[Memory, Callable[[Float[Array, " k"]], Any]]:
    """The memory, and a flat memory → the whole state with counters held at their values.

    Args:
        opt_state: the optimiser's state.
        dtype: of the flat vector where there is no memory to say it.
    """
    leaves, structure = jax.tree.flatten(opt_state)
    floating = [leaf for leaf in leaves if _is_floating(leaf)]
    space = Space.like(floating, dtype=dtype)

    def merged(flat):
        memory = iter(space.unravel(flat))
        return jax.tree.unflatten(
            structure, [next(memory) if _is_floating(leaf) else leaf for leaf in leaves]
        )

    return Memory(space.ravel(floating), space), merged


def _is_floating(leaf) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
