"""Parameters in narrow or mixed precision, measured in one that is wide enough."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Function = Callable[[Any, Any], Any]
"""(params, batch) -> a loss, or an operator."""


def in_wide_precision(
    function: Function, params: Any, batch: Any, *, is_loss: bool
) -> Iterator[tuple[Function, Any, Any]]:
    """Ways to evaluate a function at parameters in one wide dtype, the best ones first.

    The parameters' leaves are brought to the widest of their dtypes, float32 at least; those of the
    batch, too, where the function wants both alike. A loss that wants its parameters as they were
    gets them so: the derivative goes through the conversion.
    """
    dtype = common_dtype(params)
    wide = converted(params, dtype)
    if all(a is b for a, b in zip(*map(jax.tree.leaves, (params, wide)), strict=True)):
        yield function, params, batch
        return
    yield function, wide, batch
    yield function, wide, converted(batch, dtype)
    if is_loss:
        names = [getattr(leaf, "dtype", None) for leaf in jax.tree.leaves(params)]

        def as_before(params: Any, batch: Any) -> Any:
            leaves, structure = jax.tree.flatten(params)
            pairs = zip(leaves, names, strict=True)
            before = [leaf if name is None else leaf.astype(name) for leaf, name in pairs]
            return function(structure.unflatten(before), batch)

        yield as_before, wide, batch


def common_dtype(params: Any) -> np.dtype:
    """The widest of the floating leaves' dtypes, float32 at least."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params) if _is_floating(leaf)]
    return jax.dtypes.canonicalize_dtype(jnp.result_type(jnp.float32, *dtypes))


def converted(tree: Any, dtype: np.dtype) -> Any:
    """The pytree with its floating arrays in a dtype; by NumPy, which compiles nothing."""

    def convert(leaf: Any) -> Any:
        if not _is_floating(leaf) or jax.dtypes.canonicalize_dtype(leaf.dtype) == dtype:
            return leaf
        if isinstance(leaf, Tracer):
            return leaf.astype(dtype)
        return np.asarray(leaf).astype(dtype)

    return jax.tree.map(convert, tree)


def _is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", bool), jnp.floating)
