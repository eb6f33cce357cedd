"""Losses over batches that are too large to differentiate at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

BatchLoss = Callable[[PyTree[Float[Array, "..."]], PyTree[Array]], Float[Array, ""]]


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
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one example, got chunk_size={chunk_size}")

    def mean_loss(params: PyTree[Float[Array, "..."]], batch: PyTree[Array]) -> Float[Array, ""]:
        examples = _num_examples(batch)
        length = min(chunk_size, examples)
        full, rest = divmod(examples, length)

        def mean(start: Int[Array, ""] | int, length: int) -> Float[Array, ""]:
            # The slice is inside, too: outside, a second batch would be kept in memory.
            return jax.checkpoint(
                lambda params, batch, start: loss(params, _examples(batch, start, length))
            )(params, batch, start)

        means = jax.lax.map(lambda start: mean(start, length), length * jnp.arange(full))
        total = length * jnp.sum(means)
        if rest:
            total += rest * mean(length * full, rest)
        return total / examples

    return mean_loss


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
