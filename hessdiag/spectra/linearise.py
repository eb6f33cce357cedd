"""Linear maps that remember only what was computed."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core.primitives import broadcast_in_dim_p
from jaxtyping import Array, PyTree


def linearise(function: Callable[..., Any], *at: PyTree[Array]) -> tuple[Any, Callable[..., Any]]:
    """Value and derivative of a function, as `jax.linearize`, which remembers less.

    A linear map keeps whatever its products read: also the zeros of every masked gradient (of ReLU,
    max-pooling, `where`), each an array as large as the activations. Here broadcasts are made
    again by each product, which costs nothing: the compiler fuses them into what reads them. On a
    convolutional network, that is nearly half of the memory (`python -m benchmarks.spectra`).

    Args:
        function: Of pytrees of arrays.
        at: The point.

    Returns:
        Its value, and tangents of `at` -> tangents of the value; a pytree of what it remembers.
    """
    return jax.linearize(jax.checkpoint(function, prevent_cse=False, policy=_is_worth_it), *at)


def _is_worth_it(primitive: Any, *_: Any, **__: Any) -> bool:
    return primitive is not broadcast_in_dim_p
