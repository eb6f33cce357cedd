"""Losses and operators over batches that are too large to differentiate at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.curvature import symmetric_on
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Space, Tree, Vector

BatchLoss = Callable[[Tree, PyTree[Array]], Scalar]
BatchOperator = Callable[[Tree, PyTree[Array]], Operator]


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

    Raises:
        ValueError: If `chunk_size` is not positive; from the result, if a batch is empty or its
            leaves have no common leading axis.
    """
    _require_positive(chunk_size)
    return lambda params, batch: _mean(loss, params, batch, chunk_size)


def chunked_operator(build: BatchOperator, chunk_size: int) -> BatchOperator:
    """The mean of a symmetric operator over a batch, multiplied by chunk by chunk.

    For operators that are means over examples, such as `gauss_newton` and `empirical_fisher`, and
    are built on theta from (theta, batch). The
    Hessian of a `chunked` loss is one of these, too, and shares more of its work. Every product
    linearises every chunk again, and keeps nothing of it but its contribution.

    Raises:
        ValueError: As `chunked`, and from the result, if the operator is not on theta's space.
        NonSymmetricOperatorError: From the result, if it is not declared symmetric.
    """
    _require_positive(chunk_size)

    def multiply(at, part: PyTree[Array]) -> Vector:
        params, v = at
        return build(params, part).product(v)

    def mean_operator(params: Tree, batch: PyTree[Array]) -> Operator:
        space = Space.like(params)
        _count_examples(batch)
        first = build(params, _examples(batch, 0, 1))
        require_declared_symmetric(first)
        if first.size != space.size:
            raise ValueError(f"an operator on {first.size} numbers, where theta has {space.size}")
        return symmetric_on(space, lambda v: _mean(multiply, (params, v), batch, chunk_size))

    return mean_operator


def _mean(function, at: PyTree[Array], batch: PyTree[Array], chunk_size: int) -> Array:
    """The mean over the examples of `function(at, part)`, itself a mean over those of the part."""
    examples = _count_examples(batch)
    length = min(chunk_size, examples)
    full, rest = divmod(examples, length)

    def of_part(start: Int[Array, ""] | int, length: int) -> Array:
        # The slice is inside, too: outside, a second batch would be kept in memory.
        return jax.checkpoint(
            lambda at, batch, start: function(at, _examples(batch, start, length))
        )(at, batch, start)

    def add(total: Array, start: Int[Array, ""]) -> tuple[Array, None]:
        return total + length * of_part(start, length), None

    shape = jax.eval_shape(lambda: of_part(0, length))
    nothing = jnp.zeros(shape.shape, shape.dtype)
    total, _ = jax.lax.scan(add, nothing, length * jnp.arange(full))
    if rest:
        total += rest * of_part(length * full, rest)
    return total / examples


def _require_positive(chunk_size: int) -> None:
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one example, got chunk_size={chunk_size}")


def _examples(batch: PyTree[Array], start: Int[Array, ""] | int, length: int) -> PyTree[Array]:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, length), batch)


def _count_examples(batch: PyTree[Array]) -> int:
    """Length of the common leading axis."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(batch)]
    if not shapes or any(shape[:1] != shapes[0][:1] or not shape for shape in shapes):
        raise ValueError(f"the leaves of a batch need one leading axis, got shapes {shapes}")
    if shapes[0][0] == 0:
        raise ValueError("the mean over an empty batch is not defined")
    return shapes[0][0]
