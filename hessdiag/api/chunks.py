"""Losses in chunks: those that depend on how large the chunks are are refused."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, DTypeLike

from hessdiag import spectra

Loss = Callable[[Any, Any], Array]
"""(params, batch) -> scalar."""


def in_chunks(loss: Loss, chunk_size: int | None) -> Loss:
    """The mean over chunks of a loss, or the loss where there are none."""
    return loss if chunk_size is None else spectra.chunked(loss, chunk_size)


def values_in_chunks(loss: Loss, chunk_size: int | None, params: Any, batch: Any) -> list[Array]:
    """The loss, and where there are several chunks what it is in chunks of another size."""
    sizes = [chunk_size]
    if chunk_size is not None and chunk_size < len(jax.tree.leaves(batch)[0]):
        sizes.append(chunk_size // 2 or 2)
    return [in_chunks(loss, size)(params, batch) for size in sizes]


def require_mean(values: Sequence[float], dtype: DTypeLike) -> None:
    """Refuse a loss that two sizes of chunks make two of.

    Raises:
        ValueError: If the values differ by more than rounding, in the dtype.
    """
    if len(values) < 2:
        return
    value, other = values
    apart, size = abs(value - other), max(abs(value), abs(other))
    if apart > float(jnp.finfo(dtype).eps) ** 0.5 * size:
        raise ValueError(
            f"chunk_size: the loss is no mean over examples: {value:.6g} in chunks of this size, "
            f"{value / other if other else np.inf:.4g} times what it is in chunks of another; "
            "allowed: losses that average over the leading axis, or no chunk_size"
        )
