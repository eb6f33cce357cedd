"""Losses over examples that are read from outside, for data that do not fit into memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from hessdiag.spectra.chunked import BatchLoss, count_examples, mean_of_parts, require_positive

Fetch = Callable[[int, int], PyTree[Any]]


def streamed(
    loss: BatchLoss, fetch: Fetch, num_examples: int, chunk_size: int
) -> Callable[[PyTree[Float[Array, "..."]]], Float[Array, ""]]:
    """The mean of a loss over examples that are read from outside, chunk by chunk.

    Every evaluation and every product of a derivative reads all of them again, from within the
    compiled program, and keeps one chunk at a time.

    Args:
        loss: As that of `chunked`.
        fetch: (start, stop) -> the examples from `start` up to `stop`, a pytree of NumPy arrays
            with one leading axis, such as slices of `numpy.memmap`. It must give the same whenever
            it is asked. It is called in threads of the runtime, where double precision has to be
            enabled for all threads.
        num_examples: How many there are.
        chunk_size: How many are read at a time.

    Returns:
        The loss of theta.

    Raises:
        ValueError: If a number is not positive, or if a chunk has not as many examples as were
            asked for.
    """
    require_positive(chunk_size)
    if num_examples < 1:
        raise ValueError("the mean over no examples is not defined")
    length = min(chunk_size, num_examples)
    lengths = {length, num_examples % length} - {0}
    shapes = {length: _shapes(fetch, length) for length in lengths}

    def read(start: Int[Array, ""] | int, length: int) -> PyTree[Array]:
        def fetched(start) -> PyTree[np.ndarray]:
            part = fetch(int(start), int(start) + length)
            return jax.tree.map(lambda leaf, like: np.asarray(leaf, like.dtype), part, like)

        like = shapes[length]
        return jax.pure_callback(fetched, like, start, vmap_method="sequential")

    def of_part(params, start: Int[Array, ""] | int, length: int) -> Float[Array, ""]:
        return jax.checkpoint(lambda params, start: loss(params, read(start, length)))(
            params, start
        )

    return lambda params: mean_of_parts(partial(of_part, params), num_examples, chunk_size)


def _shapes(fetch: Fetch, length: int) -> PyTree[jax.ShapeDtypeStruct]:
    """What a part of that length is made of, read off the first one."""
    part = jax.tree.map(np.asarray, fetch(0, length))
    if count_examples(part) != length:
        raise ValueError(f"{count_examples(part)} examples where {length} were asked for")
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype)),
        part,
    )
