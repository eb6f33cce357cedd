"""Arnoldi's Hessenberg reduction of any square operator, with early stop and breakdown guard."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from hessdiag.spectra.gram_schmidt import (
    Blocks,
    append,
    empty_blocks,
    nonzero,
    norm,
    orthogonality,
    split,
)
from hessdiag.spectra.krylov import depth, rounding
from hessdiag.spectra.operators import Operator

TOLD_APART = 0.01
"""Residual, relative to the distance from the shift, at which that distance is known."""

DIGITS = 10.0
"""Residuals of so many eps |A| are as small as they get."""


class ArnoldiDecomposition(NamedTuple):
    """A Q' = Q' H + r e', with H upper Hessenberg; only the first `active` entries mean anything.

    Attributes:
        hessenberg: H, zero beyond its `active` rows and columns.
        residual: Norm of r, which is the next subdiagonal entry.
        active: Number of valid steps, which is the number of products spent.
        orthogonality: Largest entry of |Q Q' - I| over the active rows.
        scale: Largest |A q| met, a lower estimate of the operator norm.
        converged: The outermost Ritz value met the tolerance relative to |A|, or the space is
            invariant.
        broke_down: The space became invariant: H holds eigenvalues, but only those that the start
            vector contains.
        size: d.
        basis: The rows q of Q, zero beyond `active`; None unless it was asked for.
    """

    hessenberg: Float[Array, "cap cap"]
    residual: Float[Array, ""]
    active: Int[Array, ""]
    orthogonality: Float[Array, ""]
    scale: Float[Array, ""]
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    size: Int[Array, ""]
    basis: Float[Array, "cap d"] | None = None


class _State(NamedTuple):
    basis: Blocks  # finished rows, then zeros
    vector: Float[Array, " d"]  # next row, of unit length
    hessenberg: Float[Array, "cap cap"]
    residual: Float[Array, ""]
    active: Int[Array, ""]
    scale: Float[Array, ""]
    converged: Bool[Array, ""]
    settled: Bool[Array, ""]  # converged, and told apart from the shift
    broke_down: Bool[Array, ""]
    failed: Bool[Array, ""]  # a product was not finite


@jax.default_matmul_precision("highest")
def arnoldi(
    operator: Operator,
    start: Float[Array, " d"],
    *,
    max_matvecs: int,
    tolerance: float,
    shift: float | Float[Array, ""] = 0.0,
    check_every: int = 4,
    keep_basis: bool = False,
) -> ArnoldiDecomposition:
    """Reduce a square operator to Hessenberg form until its outermost eigenvalue has converged.

    Outermost is the Ritz value theta of largest |shift + theta|. Stops when its residual
    |A x - theta x| is below `tolerance * scale`, when the Krylov space is invariant, or after
    `max_matvecs` products. For the spectral radius of I + N run it on N with `shift=1`: the Krylov
    space is the same, but adding the identity destroys the digits of a small N.

    With a shift, the residual must be small beside | |shift + theta| - |shift| | as well, where
    rounding allows: an optimiser's memory makes |N| large, while every eigenvalue that moves
    parameters crowds around zero, and a random vector of that crowd has a small residual already.

    A small residual does not make an eigenvalue of a non-symmetric operator accurate:
    `complex_ritz_values` gives the errors.

    Works under jit, vmap and `jax.lax.map`. A product that is not finite ends the run with
    `converged` false and NaN in H; so does a zero start vector.

    Args:
        operator: The map A from a space to itself. Build it before the call, under the same jit:
            its linearisation then stays outside the loop.
        start: Start vector of any length but zero, in the operator's dtype.
        max_matvecs: Upper limit on products, clipped to d.
        tolerance: Residual to reach, relative to |A|. Below 10 eps of the dtype it buys no digits
            that the products have. Zero spends all products.
        shift: Multiple of the identity that the map of interest has and A lacks.
        check_every: Steps between tests of convergence. A test costs an eigendecomposition of size
            `max_matvecs`, on a GPU's host or by its solver; 4 steps waste two products on average.
        keep_basis: Return Q as well, `max_matvecs * d` numbers.

    Returns:
        The decomposition, with `cap = min(max_matvecs, d)`.

    Raises:
        ValueError: If the operator is not square, or `max_matvecs` not positive.

    References:
        Golub and Van Loan 2013, Matrix Computations, section 10.5. Daniel, Gragg, Kaufman and
        Stewart 1976, Mathematics of Computation 30, for two passes being enough.
    """
    if not operator.is_square:
        raise ValueError("Arnoldi needs a square operator; use Golub-Kahan for singular values")
    cap = depth(operator, max_matvecs)
    state = _initial(operator, start, cap)

    def unfinished(state: _State) -> Bool[Array, ""]:
        return (state.active < cap) & ~(state.settled | state.broke_down | state.failed)

    def step(state: _State) -> _State:
        state = _step(operator, state)
        due = ((state.active % check_every == 0) | (state.active == cap)) & ~state.failed
        never = jnp.array(jnp.inf, operator.dtype), jnp.zeros((), operator.dtype)
        residual, distance = jax.lax.cond(
            due, lambda state: _outermost_residual(state, shift), lambda _: never, state
        )
        converged = state.broke_down | (residual < tolerance)
        allowed = jnp.maximum(TOLD_APART * distance, DIGITS * jnp.finfo(operator.dtype).eps)
        told_apart = (jnp.asarray(shift) == 0) | (residual < allowed)
        return state._replace(converged=converged, settled=converged & told_apart)

    state = jax.lax.while_loop(unfinished, step, state)
    basis = jnp.concatenate(state.basis)[:cap]
    return ArnoldiDecomposition(
        hessenberg=state.hessenberg,
        residual=state.residual,
        active=state.active,
        orthogonality=orthogonality(basis, state.active),
        scale=state.scale,
        converged=state.converged,
        broke_down=state.broke_down,
        size=jnp.asarray(operator.size, jnp.int32),
        basis=basis if keep_basis else None,
    )


def outermost_vector(
    decomposition: ArnoldiDecomposition, *, shift: float | Float[Array, ""] = 0.0
) -> Float[Array, " d"]:
    """Real part of the outermost Ritz vector, of unit length: where to start a similar run.

    Args:
        decomposition: A run that kept its basis.
        shift: That of the run.
    """
    assert decomposition.basis is not None
    vector = _outermost(decomposition, shift)[0].real @ decomposition.basis
    return vector / norm(vector)


def _initial(operator: Operator, start: Float[Array, " d"], cap: int) -> _State:
    start = start.astype(operator.dtype)
    zero = jnp.zeros((), operator.dtype)
    false = jnp.zeros((), bool)
    return _State(
        basis=empty_blocks(cap, operator.size, operator.dtype),
        vector=start / norm(start),
        hessenberg=jnp.zeros((cap, cap), operator.dtype),
        residual=zero,
        active=jnp.zeros((), jnp.int32),
        scale=zero,
        converged=false,
        settled=false,
        broke_down=false,
        failed=false,
    )


def _step(operator: Operator, state: _State) -> _State:
    """One product, one column of H, one more basis vector."""
    k, cap = state.active, state.hessenberg.shape[0]
    basis = append(state.basis, state.vector, k)
    product = operator.product(state.vector)
    scale = jnp.maximum(state.scale, norm(product))
    remainder, column = split(basis, product, k + 1)
    residual = norm(remainder)
    broke_down = (residual <= rounding(operator, scale)) | (k + 1 == operator.size)
    failed = ~jnp.isfinite(residual)
    joined = state.hessenberg.at[k, k - 1].add(state.residual)  # adds 0 where k is 0
    return state._replace(
        basis=basis,
        vector=remainder / jnp.where(broke_down, 1, residual),
        hessenberg=joined.at[:, k].set(column[:cap]),
        residual=residual,
        active=k + 1,
        scale=scale,
        broke_down=broke_down & ~failed,
        failed=failed,
    )


def _outermost_residual(
    state: _State, shift: float | Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Of the Ritz value of largest |shift + theta|, relative to the scale.

    Its residual h |s|, and the distance of |shift + theta| from |shift|.
    """
    vector, distance = _outermost(state, shift)
    return state.residual / nonzero(state.scale) * jnp.abs(vector[state.active - 1]), distance


def _outermost(
    run: _State | ArnoldiDecomposition, shift: float | Float[Array, ""]
) -> tuple[Complex[Array, " cap"], Float[Array, ""]]:
    """Of the Ritz value of largest |shift + theta|: its eigenvector of H, and how far beyond it is.

    The distance | |shift + theta| - |shift| | is over the scale.

    The inactive diagonal of H is filled with numbers beyond every Ritz value: in units of the
    scale the columns of H have length at most 1, so that |theta| <= sqrt(cap).
    """
    cap = run.hessenberg.shape[0]
    scale = nonzero(run.scale)
    filling = jnp.where(jnp.arange(cap) < run.active, 0, 4 * cap**0.5)
    values, vectors = jnp.linalg.eig(run.hessenberg / scale + jnp.diag(filling))
    # |shift + theta|^2 - shift^2, over the scale: nothing cancels where theta is tiny.
    beyond = 2 * shift * values.real + scale * jnp.abs(values) ** 2
    outermost = jnp.argmax(jnp.where(jnp.abs(values) < 2 * cap**0.5, beyond, -jnp.inf))
    moduli = jnp.abs(shift + scale * values[outermost]) + jnp.abs(shift)
    return vectors[:, outermost], jnp.abs(beyond[outermost]) / nonzero(moduli)
