"""Linear maps that remember no broadcasts."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr, subjaxprs
from jax.extend.core.primitives import broadcast_in_dim_p, remat_p
from jaxtyping import Array, PyTree


def linearise(function: Callable[..., Any], *at: PyTree[Array]) -> tuple[Any, Callable[..., Any]]:
    """Value and derivative of a function, as `jax.linearize`, which remembers less.

    A linear map keeps whatever its products read: also the zeros of every masked gradient (of ReLU,
    max-pooling, `where`), each an array as large as the activations. Here broadcasts are made
    again by each product: the compiler fuses most into what reads them. In a convolutional network
    that is nearly half of the memory, and products are faster (`python -m benchmarks.spectra`).

    A function that recomputes parts of itself, by `jax.checkpoint`, decides alone what is kept.

    Args:
        function: Of pytrees of arrays; traced twice.
        at: The point.

    Returns:
        Its value, and tangents of `at` -> tangents of the value; a pytree of what it remembers.
    """
    if not _recomputes(jax.make_jaxpr(function)(*at).jaxpr):
        function = jax.checkpoint(function, prevent_cse=False, policy=_is_kept)
    return jax.linearize(function, *at)


def _recomputes(program: Jaxpr) -> bool:
    """Whether some part has a policy of its own, which the one around it would overrule."""
    return any(equation.primitive is remat_p for equation in program.eqns) or any(
        map(_recomputes, subjaxprs(program))
    )


def _is_kept(primitive: Any, *_: Any, **__: Any) -> bool:
    return primitive is not broadcast_in_dim_p
