"""Symmetric block Lanczos: several starts in one Krylov space, which shows multiplicities."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.gram_schmidt import (
    Blocks,
    append,
    empty_blocks,
    nonzero,
    norm,
    orthogonality,
    split,
)
from hessdiag.spectra.krylov import CLEAR, depth, rounding
from hessdiag.spectra.operators import Operator


class BlockDecomposition(NamedTuple):
    """A Q' = Q' T + R' C' + dropped rounding, with T symmetric and banded; rows q of Q.

    Only the first `active` entries mean anything. The rows of Q come in blocks: each holds what A
    made of the block before it and the basis did not hold yet. A block is narrower than the one
    before where a direction has vanished, and never holds a row of rounding or of zeros.

    Attributes:
        projected: T = Q A Q', zero beyond `active`.
        outside: Row k of C: the coefficients of A q_k along the rows R that the basis would be
            continued with. Zero except for the last block.
        dropped: Length of what was taken for rounding in A q_k.
        active: Number of rows of Q, which is the number of products spent.
        starts: Number of independent starts: the first block of Q.
        orthogonality: Largest entry of |Q Q' - I| over the active rows.
        scale: Largest |A q| met, a lower estimate of the operator norm.
        converged: Both extreme Ritz values met the tolerance, or the space is invariant.
        broke_down: The space became invariant: T holds eigenvalues, but only those that the starts
            contain, and each at most as often as there are starts.
        asymmetry: Largest |q_i' A q_j - q_j' A q_i| over the run, relative to `scale`: rounding
            for a symmetric A, and `block_ritz_values` refuses more.
        basis: The rows q of Q, zero beyond `active`; None unless it was asked for.
    """

    projected: Float[Array, "cap cap"]
    outside: Float[Array, "cap b"]
    dropped: Float[Array, " cap"]
    active: Int[Array, ""]
    starts: Int[Array, ""]
    orthogonality: Float[Array, ""]
    scale: Float[Array, ""]
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    asymmetry: Float[Array, ""]
    basis: Float[Array, "cap d"] | None = None


class _State(NamedTuple):
    basis: Blocks  # rows with a product, then those that wait for one, then zeros
    waiting: Float[Array, "b d"]  # rows that wait for a product, then zeros
    along: Float[Array, "cap rows"]  # row k: coefficients of A q_k along all rows
    lengths: Float[Array, " rows"]  # of each before it was normalised, infinite for starts
    dropped: Float[Array, " cap"]
    active: Int[Array, ""]  # rows with a product
    found: Int[Array, ""]  # rows
    scale: Float[Array, ""]
    asymmetry: Float[Array, ""]  # in the operator's units
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    failed: Bool[Array, ""]  # a product was not finite


@jax.default_matmul_precision("highest")
def block_lanczos(
    operator: Operator,
    starts: Float[Array, "b d"],
    *,
    max_matvecs: int,
    tolerance: float,
    check_every: int = 1,
    vectorised: bool = False,
    keep_basis: bool = False,
) -> BlockDecomposition:
    """Project a symmetric operator on the Krylov space of several starts.

    A single start shows each eigenvalue once; b starts show up to b copies, and resolve clusters
    that a single one takes many steps for. In exchange the polynomials have only 1 / b of the
    degree: for two separate ends of a spectrum `lanczos` needs fewer products.

    Stops when the residual bounds of the lowest and the highest Ritz value are below `tolerance *
    scale`, when the Krylov space is invariant, or after `max_matvecs` products. Works under jit,
    vmap and `jax.lax.map`. A product that is not finite ends the run with `converged` false and
    NaN in T; so does a zero start vector. Starts that depend on each other count once.

    Args:
        operator: The symmetric map A. Build it before the call, under the same jit.
        starts: Start vectors of any length but zero, in the operator's dtype.
        max_matvecs: Upper limit on products, clipped to d. Need not be a multiple of b.
        tolerance: Residual bound to reach, relative to |A|. Zero spends all products.
        check_every: Blocks between tests of convergence. A test costs an eigendecomposition of
            size `max_matvecs`.
        vectorised: Form the products of a block at once, by vmap. It needs b times the memory of a
            product; on a CPU one at a time was faster for networks.
        keep_basis: Return Q as well, `max_matvecs * d` numbers.

    Returns:
        The decomposition, with `cap = min(max_matvecs, d)`.

    Raises:
        NonSymmetricOperatorError: If the operator is not declared symmetric. Whether a declared
            one is, the run measures (`asymmetry`).
        ValueError: If `max_matvecs` is not positive.

    References:
        Golub and Underwood 1977, Mathematical Software III. Ruhe 1979, Mathematics of Computation
        33, for rows taken one at a time, so that each is deflated when it vanishes.
    """
    require_declared_symmetric(operator)
    cap = depth(operator, max_matvecs)
    state = _initial(operator, starts, cap)
    first = state.found

    def unfinished(carry: tuple[_State, Int[Array, ""]]) -> Bool[Array, ""]:
        state, _ = carry
        return (state.active < cap) & ~(state.converged | state.broke_down | state.failed)

    def step(carry: tuple[_State, Int[Array, ""]]) -> tuple[_State, Int[Array, ""]]:
        state, count = carry
        state = _step(operator, state, vectorised)
        due = (((count + 1) % check_every == 0) | (state.active == cap)) & ~state.failed
        never = jnp.array(jnp.inf, operator.dtype)
        reached = jax.lax.cond(due, _largest_end_residual, lambda _: never, state)
        converged = state.broke_down | (reached < tolerance)
        return state._replace(converged=converged), count + 1

    state, _ = jax.lax.while_loop(unfinished, step, (state, jnp.zeros((), jnp.int32)))
    inside = jnp.arange(cap) < state.active
    basis = jnp.where(inside[:, None], jnp.concatenate(state.basis)[:cap], 0)
    return BlockDecomposition(
        projected=_projected(state),
        outside=_outside(state),
        dropped=state.dropped,
        active=state.active,
        starts=first,
        orthogonality=orthogonality(basis, state.active),
        scale=state.scale,
        converged=state.converged,
        broke_down=state.broke_down,
        asymmetry=state.asymmetry / nonzero(state.scale),
        basis=basis if keep_basis else None,
    )


def _initial(operator: Operator, starts: Float[Array, "b d"], cap: int) -> _State:
    width, dtype = len(starts), operator.dtype
    basis = empty_blocks(cap + width, operator.size, dtype)
    rows = sum(len(block) for block in basis)
    zero, none, false = jnp.zeros((), dtype), jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    state = _State(
        basis=basis,
        waiting=jnp.zeros((width, operator.size), dtype),
        along=jnp.zeros((cap, rows), dtype),
        lengths=jnp.zeros(rows, dtype),
        dropped=jnp.zeros(cap, dtype),
        active=none,
        found=none,
        scale=zero,
        asymmetry=zero,
        converged=false,
        broke_down=false,
        failed=false,
    )
    starts = starts.astype(dtype)
    starts = starts / jax.vmap(norm)(starts)[:, None]
    threshold = rounding(operator, jnp.ones((), dtype))
    live = jnp.ones(width, bool)
    state, _ = _extended(state, starts, live, threshold)
    return state._replace(lengths=jnp.where(state.lengths > 0, jnp.inf, 0))


def _step(operator: Operator, state: _State, vectorised: bool) -> _State:
    """The products of all waiting rows, and the rows that they add."""
    k, (cap, _) = state.active, state.along.shape
    count = jnp.minimum(state.found, cap) - k
    live = jnp.arange(len(state.waiting)) < count
    products = _products(operator, state.waiting, live, vectorised)
    scale = jnp.maximum(state.scale, jnp.max(jax.vmap(norm)(products)))
    threshold = rounding(operator, scale)
    state = state._replace(scale=scale)
    extended, (along, dropped) = _extended(state, products, live, threshold)
    positions = jnp.where(live, k + jnp.arange(len(live)), cap)
    extended = extended._replace(
        along=state.along.at[positions].set(along, mode="drop"),
        dropped=state.dropped.at[positions].set(dropped, mode="drop"),
        active=k + count,
        failed=~jnp.all(jnp.isfinite(along)),
    )
    nothing_waits = (extended.found == extended.active) & ~extended.failed
    return extended._replace(
        asymmetry=jnp.maximum(state.asymmetry, _asymmetry(extended, threshold)),
        broke_down=nothing_waits,
    )


def _products(
    operator: Operator, rows: Float[Array, "b d"], live: Bool[Array, " b"], vectorised: bool
) -> Float[Array, "b d"]:
    """A q of the live rows, zero for the others, which one at a time cost nothing."""
    if vectorised:
        return jnp.where(live[:, None], jax.vmap(operator.product)(rows), 0)

    def product(pair: tuple[Float[Array, " d"], Bool[Array, ""]]) -> Float[Array, " d"]:
        row, is_live = pair
        return jax.lax.cond(is_live, operator.product, jnp.zeros_like, row)

    return jax.lax.map(product, (rows, live))


def _extended(
    state: _State,
    vectors: Float[Array, "b d"],
    live: Bool[Array, " b"],
    threshold: Float[Array, ""],
) -> tuple[_State, tuple[Float[Array, "b rows"], Float[Array, " b"]]]:
    """Append what is new in each vector; also its coefficients along the rows, and the rest.

    One vector after the other, so that a row is made of what no row before it holds: a row that
    vanished is left out, and with it nothing of the vectors that follow.
    """

    def extend(state: _State, pair: tuple[Float[Array, " d"], Bool[Array, ""]]):
        vector, is_live = pair
        residual, along = split(state.basis, vector, state.found)
        length = norm(residual)
        # A NaN is appended, for the run to notice.
        is_new = is_live & ~(length <= threshold) & (state.found < vector.size)
        position = jnp.where(is_new, state.found, along.size)
        row = residual / jnp.where(is_new, length, 1)
        slot = jnp.where(is_new, state.found - first, len(vectors))
        state = state._replace(
            basis=append(state.basis, row, position),
            waiting=state.waiting.at[slot].set(row, mode="drop"),
            lengths=state.lengths.at[position].set(length, mode="drop"),
            found=state.found + is_new,
        )
        along = along.at[position].set(length, mode="drop")
        return state, (along, jnp.where(is_new, 0, length))

    first = state.found
    state = state._replace(waiting=jnp.zeros_like(state.waiting))
    return jax.lax.scan(extend, state, (vectors, live))


def _asymmetry(state: _State, threshold: Float[Array, ""]) -> Float[Array, ""]:
    """Largest |q_i' A q_j - q_j' A q_i| over the rows so far.

    Where the length of a row was nearly rounding, the row is, too, and so is its difference.
    """
    square = state.along[:, : len(state.along)]
    inside = jnp.arange(len(square)) < state.active
    clear = inside & (state.lengths[: len(square)] > CLEAR * threshold)
    counts = inside[:, None] & clear[None] & jnp.tri(len(square), dtype=bool).T
    return jnp.max(jnp.where(counts, jnp.abs(square - square.T), 0))


def _projected(state: _State) -> Float[Array, "cap cap"]:
    """T, from the products that came later: q_j' A q_i with both rows known."""
    inside = jnp.arange(len(state.along)) < state.active
    lower = jnp.tril(state.along[:, : len(state.along)])
    lower = jnp.where(inside[:, None] & inside[None], lower, 0)
    return lower + jnp.tril(lower, -1).T


def _outside(state: _State) -> Float[Array, "cap b"]:
    """Coefficients of each A q along the rows that wait for a product."""
    width = len(state.waiting)
    along = jax.lax.dynamic_slice_in_dim(state.along, state.active, width, axis=1)
    return jnp.where((jnp.arange(len(state.along)) < state.active)[:, None], along, 0)


def _largest_end_residual(state: _State) -> Float[Array, ""]:
    """Larger of the residual bounds of the two extreme Ritz values, relative to the scale.

    The inactive part of T is filled with a number above every Ritz value (by blocks, Gershgorin
    gives 3 sqrt(b) in units of the scale).
    """
    scale = nonzero(state.scale)
    inactive = (jnp.arange(len(state.along)) >= state.active).astype(scale.dtype)
    fill = 4 * len(state.waiting) ** 0.5
    _, vectors = jnp.linalg.eigh(_projected(state) / scale + fill * jnp.diag(inactive))
    ends = vectors[:, jnp.stack([jnp.zeros_like(state.active), state.active - 1])]
    coupled = jnp.linalg.norm(_outside(state).T / scale @ ends, axis=0)
    return jnp.max(coupled + state.dropped / scale @ jnp.abs(ends))
