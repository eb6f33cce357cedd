"""Vector spaces of pytrees: how to go to flat vectors and back."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

Tree = PyTree[Float[Array, "..."]]
"""A pytree of floating arrays."""

Vector = Float[Array, " d"]
Scalar = Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class Space:
    """The vector space of the pytrees of one structure."""

    size: int  # its dimension, the number of entries of all leaves
    dtype: Any  # the common dtype of the leaves, which is that of flat vectors
    unravel: Callable[[Float[Array, " size"]], Tree]  # a flat vector as a pytree
    structure: Any  # the treedef of the pytrees
    shapes: tuple[tuple[int, ...], ...]  # of the leaves, in the order of the structure

    @classmethod
    def like(cls, tree: Tree, *, dtype: Any = None) -> "Space":
        """The space of a pytree's shapes and dtypes; where there are no leaves, of this dtype.

        Raises:
            ValueError: If a leaf is complex.
        """
        _require_real(tree)
        unravels = []

        def flattened(zeros):
            flat, unravel = ravel_pytree(zeros)
            unravels.append(unravel)
            return flat

        flat = jax.eval_shape(flattened, tree)  # which computes, and compiles, nothing
        dtype = flat.dtype if flat.size or dtype is None else dtype
        return cls(flat.size, dtype, unravels[-1], jax.tree.structure(tree), _shapes(tree))

    def ravel(self, tree: Tree) -> Float[Array, " size"]:
        """A pytree of this space as a flat vector; a flat vector (size,) is taken as it is.

        Raises:
            ValueError: If it has another number of entries, or as many in another structure or in
                leaves of other shapes: their order would be another one; or if a leaf is complex.
        """
        _require_real(tree)
        flat, _ = ravel_pytree(tree)
        if flat.shape != (self.size,):
            raise ValueError(f"a vector of {flat.size} entries for a space of {self.size}")
        if not (is_flat(tree, self.size) or self.holds(tree)):
            raise ValueError(self._difference(tree))
        return flat.astype(self.dtype)

    def holds(self, tree: Tree) -> bool:
        """Whether a pytree has the structure of this space and leaves of its shapes."""
        return (jax.tree.structure(tree), _shapes(tree)) == (self.structure, self.shapes)

    def _difference(self, tree: Tree) -> str:
        structure = jax.tree.structure(tree)
        if structure != self.structure:
            return " ".join(f"a pytree {structure} for a space of {self.structure}".split())
        return f"leaves of shapes {_shapes(tree)} for a space of {self.shapes}"

    def __mul__(self, other: "Space") -> "Space":
        """The space of pairs."""
        return Space(
            self.size + other.size,
            jnp.promote_types(self.dtype, other.dtype),
            lambda flat: (self.unravel(flat[: self.size]), other.unravel(flat[self.size :])),
            jax.tree_util.treedef_tuple((self.structure, other.structure)),
            self.shapes + other.shapes,
        )


def _require_real(tree: Any) -> None:
    dtypes = {jnp.result_type(leaf) for leaf in jax.tree.leaves(tree)}
    for dtype in dtypes:
        if jnp.issubdtype(dtype, jnp.complexfloating):
            raise ValueError(
                f"a vector of {dtype}; allowed: real numbers, such as real and imaginary parts in "
                "two leaves"
            )


def is_flat(v: Any, size: int) -> bool:
    """Whether something is an array (size,), of JAX or of NumPy."""
    return isinstance(v, jax.Array | np.ndarray) and v.shape == (size,)


def _shapes(tree: Tree) -> tuple[tuple[int, ...], ...]:
    return tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(tree))
