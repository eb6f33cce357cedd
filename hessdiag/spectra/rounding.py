"""How well narrow numbers determine an operator: what becomes of it when they move by rounding.

A product of a linearised function is linear to a few eps, whatever was rounded on the way to its
coefficients: deep and recurrent networks may lose half of the digits there, unseen. Parameters that
move by as much as each layer rounds tell how much that is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, subjaxprs
from jaxtyping import Array, Key

from hessdiag.spectra.spaces import Scalar, Tree


def moved(tree: Tree, key: Key[Array, ""], unit: float | Scalar) -> Tree:
    """Every number of the floating leaves times 1 + unit x, with x uniform in [-1, 1]."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, max(1, len(leaves)))

    def move(leaf: Any, key: Key[Array, ""]) -> Any:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            return leaf
        dtype = jnp.result_type(leaf)
        noise = jax.random.uniform(key, jnp.shape(leaf), jnp.promote_types(dtype, "float32"), -1, 1)
        return (leaf * (1 + unit * noise)).astype(dtype)

    return jax.tree.unflatten(structure, map(move, leaves, keys))


def rounding_unit(function: Callable[..., Any], *at: Any) -> float:
    """The eps of the narrowest floating numbers that a function computes with."""
    return _largest_eps(jax.make_jaxpr(function)(*at).jaxpr)


def _largest_eps(program: Jaxpr) -> float:
    numbers = [*program.invars, *(v for equation in program.eqns for v in equation.outvars)]
    dtypes = {getattr(number.aval, "dtype", None) for number in numbers}
    own = [float(jnp.finfo(d).eps) for d in dtypes if d and jnp.issubdtype(d, jnp.inexact)]
    return max(own + [_largest_eps(part) for part in subjaxprs(program)], default=0.0)
