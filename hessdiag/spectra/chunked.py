"""Losses and operators over batches that are too large to differentiate at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.curvature import symmetric_on
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Space

BatchLoss = Callable[[PyTree[Float[Array, "..."]], PyTree[Array]], Float[Array, ""]]
BatchOperator = Callable[[PyTree[Float[Array, "..."]], PyTree[Array]], Operator]
Fetch = Callable[[int, int], PyTree[Any]]


def chunked(loss: BatchLoss, chunk_size: int) -> BatchLoss:
    """The mean of a loss over a batch, evaluated chunk by chunk.

    Every chunk counts by its number of examples, so that a last chunk that is not full does not
    weigh as much as a full one: the value and all derivatives are those of `loss` on the
    whole batch, to rounding, whatever the chunk size.

    Nothing is kept of a chunk but its contribution: derivatives recompute it, which costs about one
    more evaluation, and the memory of a Hessian product does not grow with the number of chunks.

    Args:
        loss: (theta, batch) -> mean over the examples of the batch; not a sum, and without terms
            that couple examples, such as batch normalisation.
        chunk_size: Examples at a time.

    Returns:
        The loss over (theta, batch), where the leaves of the batch have one leading axis of any
        length. It raises ValueError if they do not, or if it is empty.

    Raises:
        ValueError: If `chunk_size` is not positive.
    """
    _require_positive(chunk_size)
    return lambda params, batch: _mean(loss, params, batch, chunk_size)


def streamed(
    loss: BatchLoss, fetch: Fetch, num_examples: int, chunk_size: int
) -> Callable[[PyTree[Float[Array, "..."]]], Float[Array, ""]]:
    """The mean of a loss over examples that are read from outside, chunk by chunk.

    For data that do not fit into memory. Every evaluation and every derivative reads all of them
    once or twice, within compiled programs.

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
    _require_positive(chunk_size)
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

    return lambda params: _mean_of_parts(partial(of_part, params), num_examples, chunk_size)


def chunked_operator(build: BatchOperator, chunk_size: int) -> BatchOperator:
    """The mean of a symmetric operator over a batch, multiplied by chunk by chunk.

    For operators that are means over examples, such as `gauss_newton` and `empirical_fisher`. The
    Hessian of a `chunked` loss is one of these, too, and shares more of its work.

    Every product linearises every chunk again, and keeps nothing of it but its contribution.

    Args:
        build: (theta, batch) -> the operator on theta, a mean over the examples of the batch.
        chunk_size: Examples at a time.

    Returns:
        The operator over (theta, batch), as `chunked` has the loss. It raises
        NonSymmetricOperatorError if the operator is not declared symmetric, and ValueError if it is
        not on the space of theta.

    Raises:
        ValueError: If `chunk_size` is not positive.
    """
    _require_positive(chunk_size)

    def multiply(at, part: PyTree[Array]) -> Float[Array, " d"]:
        params, v = at
        return build(params, part).product(v)

    def mean_operator(params: PyTree[Float[Array, "..."]], batch: PyTree[Array]) -> Operator:
        space = Space.like(params)
        _num_examples(batch)
        of_one = build(params, _examples(batch, 0, 1))
        require_declared_symmetric(of_one)
        if of_one.size != space.size:
            raise ValueError(f"an operator on {of_one.size} numbers, where theta has {space.size}")
        return symmetric_on(space, lambda v: _mean(multiply, (params, v), batch, chunk_size))

    return mean_operator


def _mean(function, at: PyTree[Array], batch: PyTree[Array], chunk_size: int) -> Array:
    """The mean over the examples of `function(at, part)`, itself a mean over those of the part."""
    examples = _num_examples(batch)

    def of_part(start: Int[Array, ""] | int, length: int) -> Array:
        # The slice is inside, too: outside, a second batch would be kept in memory.
        return jax.checkpoint(
            lambda at, batch, start: function(at, _examples(batch, start, length))
        )(at, batch, start)

    return _mean_of_parts(of_part, examples, chunk_size)


def _mean_of_parts(
    of_part: Callable[[Int[Array, ""] | int, int], Array], examples: int, chunk_size: int
) -> Array:
    """The mean of (start, length) -> a mean over those examples, each part by its length."""
    length = min(chunk_size, examples)
    full, rest = divmod(examples, length)

    def add(total: Array, start: Int[Array, ""]) -> tuple[Array, None]:
        return total + length * of_part(start, length), None

    shape = jax.eval_shape(lambda: of_part(0, length))
    nothing = jnp.zeros(shape.shape, shape.dtype)
    total, _ = jax.lax.scan(add, nothing, length * jnp.arange(full))
    if rest:
        total += rest * of_part(length * full, rest)
    return total / examples


def _shapes(fetch: Fetch, length: int) -> PyTree[jax.ShapeDtypeStruct]:
    """What a part of that length is made of, read off the first one."""
    part = jax.tree.map(np.asarray, fetch(0, length))
    if _num_examples(part) != length:
        raise ValueError(f"{_num_examples(part)} examples where {length} were asked for")
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype)),
        part,
    )


def _require_positive(chunk_size: int) -> None:
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one example, got chunk_size={chunk_size}")


def _examples(batch: PyTree[Array], start: Int[Array, ""] | int, length: int) -> PyTree[Array]:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, length), batch)


def _num_examples(batch: PyTree[Array]) -> int:
    """Length of the common leading axis."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(batch)]
    if not shapes or any(shape[:1] != shapes[0][:1] or not shape for shape in shapes):
        raise ValueError(f"the leaves of a batch need one leading axis, got shapes {shapes}")
    if shapes[0][0] == 0:
        raise ValueError("the mean over an empty batch is not defined")
    return shapes[0][0]
