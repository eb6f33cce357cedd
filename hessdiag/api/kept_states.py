"""States of a compiled loop, copied to the host while it runs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class KeptStates:
    """States by step; `keep` may be called where everything is traced."""

    def __init__(self):
        self._copies: list[tuple[int, tuple[np.ndarray, ...], Any]] = []

    def keep(self, step: Any, every: int, state: Any) -> None:
        """Copy a pytree of arrays, if `every` divides the step.

        Args:
            step: a scalar of integers.
            every: steps between two copies.
            state: any pytree; leaves that are no arrays are kept as they are.
        """
        leaves, structure = jax.tree.flatten(state)
        rest = [None if isinstance(leaf, jax.Array) else leaf for leaf in leaves]
        traced = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]
        impls = [jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in traced]

        def copy(number, *values):  # computes nothing: JAX is busy with the loop
            arrays = tuple(np.array(value) for value in values)
            self._copies.append((int(number), arrays, (structure, rest, impls)))

        def due(number, *values):
            jax.debug.callback(copy, number, *values)

        # a callback takes no typed keys
        data = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in traced]
        number = jnp.asarray(step)
        jax.lax.cond(number % every == 0, due, lambda *_: None, number, *data)

    def take(self) -> list[tuple[int, Any]]:
        """All that is kept, oldest first, once the compiled loop has ended; and forget it."""
        jax.effects_barrier()
        copies, self._copies = sorted(self._copies, key=lambda copy: copy[0]), []
        return [(number, _restored(arrays, *form)) for number, arrays, form in copies]


def _restored(arrays: tuple[np.ndarray, ...], structure: Any, rest: list, impls: list) -> Any:
    whole = iter(
        array if impl is None else jax.random.wrap_key_data(array, impl=impl)
        for array, impl in zip(map(jnp.asarray, arrays), impls, strict=True)
    )
    return structure.unflatten([next(whole) if leaf is None else leaf for leaf in rest])


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
