"""The optimiser's state as derivatives see it: a flat vector, and which of its entries are what."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hessdiag.spectra import Space

MOMENTS = {"mu": "first", "trace": "first", "nu": "second"}
"""What optax calls averages of the gradient, and of its square."""


def held_memory(
    opt_state: Any, dtype: Any
) -> tuple[Float[Array, " k"], Space, Callable[[Float[Array, " k"]], Any]]:
    """The optimiser's state as derivatives see it: its floating-point leaves, m and v under Adam.

    Counters steer bias corrections and schedules but carry no derivative.

    Args:
        opt_state: the optimiser's state.
        dtype: of the parameters; the flat vector's is at least as wide.

    Returns:
        The memory as one flat vector, its space, and flat memory → whole state, counters held.
    """
    leaves, structure = jax.tree.flatten(opt_state)
    moves = [_carries(leaf) for leaf in leaves]
    floating = [leaf for leaf, is_floating in zip(leaves, moves, strict=True) if is_floating]
    narrow = Space.like(floating, dtype=dtype)
    wide = jnp.promote_types(narrow.dtype, dtype)  # accumulators may have a dtype of their own
    space = replace(
        narrow, dtype=wide, unravel=lambda flat: narrow.unravel(flat.astype(narrow.dtype))
    )

    def merged(flat):
        memory = iter(space.unravel(flat))
        held = [next(memory) if m else leaf for leaf, m in zip(leaves, moves, strict=True)]
        return jax.tree.unflatten(structure, held)

    return space.ravel(floating), space, merged


def moments_of(opt_state: Any) -> tuple[tuple[str, tuple[int, int]], ...]:
    """(moment, (its first entry, the one after its last)) of each leaf that belongs to a moment."""
    found, begin = [], 0
    for path, leaf in jax.tree.leaves_with_path(opt_state):
        if not _carries(leaf):
            continue
        end = begin + int(np.prod(jnp.shape(leaf)))
        fields = [key.name for key in path if isinstance(key, jax.tree_util.GetAttrKey)]
        moment = next((MOMENTS[name] for name in fields if name in MOMENTS), None)
        if moment is not None:
            found.append((moment, (begin, end)))
        begin = end
    return tuple(found)


def _carries(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
