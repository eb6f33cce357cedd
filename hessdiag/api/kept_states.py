"""States of a compiled loop, copied to the host while it runs."""

from typing import Any

import jax
import jax.numpy as jnp


class KeptStates:
    """States by step, oldest first; `keep` may be called where everything is traced."""

    def __init__(self):
        self._states: list[tuple[int, Any]] = []

    def keep(self, step: Any, every: int, state: Any) -> None:
        """Copy a pytree of arrays, if `every` divides the step.

        Args:
            step: a scalar of integers.
            every: steps between two copies.
            state: any pytree; leaves that are no arrays are kept as they are.
        """
        leaves, structure = jax.tree.flatten(state)
        # a callback takes no typed keys
        impls = [jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in leaves]
        data = [
            leaf if impl is None else jax.random.key_data(leaf)
            for leaf, impl in zip(leaves, impls, strict=True)
        ]
        traced = [isinstance(leaf, jax.Array) for leaf in data]

        def copy(number, *values):
            arrays = iter(values)
            whole = [jnp.array(next(arrays)) if is_ else leaf for is_, leaf in _pairs(traced, data)]
            keyed = [
                leaf if impl is None else jax.random.wrap_key_data(leaf, impl=impl)
                for leaf, impl in zip(whole, impls, strict=True)
            ]
            self._states.append((int(number), structure.unflatten(keyed)))

        def due(number, *values):
            jax.debug.callback(copy, number, *values)

        arrays = [leaf for is_, leaf in _pairs(traced, data) if is_]
        number = jnp.asarray(step)
        jax.lax.cond(number % every == 0, due, lambda *_: None, number, *arrays)

    def take(self) -> list[tuple[int, Any]]:
        """All that is kept, once the compiled loop has ended; they are kept no longer."""
        jax.effects_barrier()
        taken, self._states = sorted(self._states, key=lambda pair: pair[0]), []
        return taken


def _pairs(traced: list[bool], leaves: list[Any]) -> list[tuple[bool, Any]]:
    return list(zip(traced, leaves, strict=True))


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
