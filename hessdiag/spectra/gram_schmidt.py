"""Gram-Schmidt against a basis that grows row by row, shared by the Krylov methods."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Int

from hessdiag.spectra.spaces import Scalar, Vector

BLOCK = 16
"""Basis rows per buffer: what Gram-Schmidt skips or reads, and a cache holds."""

_NO_CANCELLATION = 0.7  # a pass that leaves this part of the vector was accurate, about 1 / sqrt(2)

_PASSES = 4  # at most

_TERMS = 512  # of a sum at a time

Blocks = tuple[Float[Array, "block d"], ...]  # separate buffers, because XLA copies slices


def empty_blocks(rows: int, size: int, dtype: DTypeLike) -> Blocks:
    """Buffers of zeros for at least `rows` basis vectors of `size` entries."""
    return (jnp.zeros((BLOCK, size), dtype),) * -(-rows // BLOCK)


def append(basis: Blocks, vector: Vector, k: Int[Array, ""]) -> Blocks:
    """Write row k, in place."""

    def write(block: Float[Array, "block d"], first: int) -> Float[Array, "block d"]:
        inside = (k >= first) & (k < first + BLOCK)
        return block.at[jnp.where(inside, k - first, BLOCK)].set(vector, mode="drop")

    return tuple(write(block, BLOCK * i) for i, block in enumerate(basis))


def split(
    basis: Blocks, vector: Vector, active: Int[Array, ""]
) -> tuple[Vector, Float[Array, " rows"]]:
    """A vector as its part orthogonal to the active rows, and its coefficients along all rows.

    One pass leaves eps |before| / |after| of the rows behind, so that another follows where it took
    away a good part of the vector (the criterion of Daniel et al. 1976, as in ARPACK). Two are
    enough, but for what is mostly rounding of what was taken away.
    """

    def unsettled(state) -> Bool[Array, ""]:
        _, _, before, after, passes = state
        return (passes == 0) | ((after <= _NO_CANCELLATION * before) & (passes < _PASSES))

    def again(state):
        vector, coefficients, _, before, passes = state
        rest, along = _remove_rows(basis, vector, active)
        return rest, coefficients + along, before, norm(rest), passes + 1

    rows = jnp.zeros(BLOCK * len(basis), vector.dtype)
    length = norm(vector)
    start = vector, rows, jnp.full_like(length, jnp.inf), length, 0
    rest, coefficients, *_ = jax.lax.while_loop(unsettled, again, start)
    return rest, coefficients


def _remove_rows(
    basis: Blocks, vector: Vector, active: Int[Array, ""]
) -> tuple[Vector, Float[Array, " rows"]]:
    """One Gram-Schmidt pass: classical within a block, modified between the blocks."""

    def remove(vector, block):
        coefficients = jnp.sum(block * vector[None], axis=1)
        return vector - coefficients @ block, coefficients

    def skip(vector, block):
        return vector, jnp.zeros_like(block[:, 0])

    coefficients = []
    for i, block in enumerate(basis):
        vector, along = jax.lax.cond(active > BLOCK * i, remove, skip, vector, block)
        coefficients.append(along)
    return vector, jnp.concatenate(coefficients)


def orthogonality(basis: Float[Array, "cap d"], active: Int[Array, ""]) -> Scalar:
    """Largest entry of |Q Q' - I| over the active rows; the others are zero."""
    identity = jnp.diag((jnp.arange(basis.shape[0]) < active).astype(basis.dtype))
    return jnp.max(jnp.abs(basis @ basis.T - identity))


def norm(vector: Float[Array, "..."]) -> Scalar:
    """Euclidean (Frobenius) norm whose squares neither underflow nor overflow."""
    unit = nonzero(jnp.max(jnp.abs(vector)))
    squares = jnp.square(vector / unit).ravel()
    # Two levels of sums: inside loops XLA adds one term after the other, which rounds as d does.
    whole = squares.size // _TERMS * _TERMS
    parts = jnp.sum(squares[:whole].reshape(-1, _TERMS), axis=1)
    return unit * jnp.sqrt(jnp.sum(parts) + jnp.sum(squares[whole:]))


def nonzero(scale: Scalar) -> Scalar:
    """The scale, or one where it is zero: what to divide by."""
    return jnp.where(scale == 0, 1, scale)
