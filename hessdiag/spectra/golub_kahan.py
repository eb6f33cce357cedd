"""Golub-Kahan-Lanczos bidiagonalisation: singular values from products of A and of A'."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.gram_schmidt import (
    Blocks,
    append,
    empty_blocks,
    nonzero,
    norm,
    orthogonalise,
    orthogonality,
)
from hessdiag.spectra.krylov import CLEAR, depth, rounding
from hessdiag.spectra.operators import NotTransposableError, Operator


class Bidiagonalisation(NamedTuple):
    """A V' = U' B and A' U' = V' B' + r e', with B upper bidiagonal and rows v of V, u of U.

    Only the first `active` entries mean anything.

    Attributes:
        alpha: Diagonal of B, zero beyond `active`.
        beta: `beta[k]` couples u_k with v_{k+1}: the superdiagonal of B, and the last active one is
            the norm of the residual r. Zero beyond `active`.
        active: Number of steps, which is the number of products of A.
        matvecs: Products of A.
        rmatvecs: Products of A'; one less where the run ended on A v = 0.
        left_orthogonality: Largest entry of |U U' - I| over the rows that are not zero.
        right_orthogonality: Largest entry of |V V' - I|.
        scale: Largest |A v| or |A' u| met, a lower estimate of the operator norm.
        converged: The largest singular value met the tolerance, or the spaces are invariant.
        broke_down: The spaces became invariant: B holds singular values, but only those that the
            start vector contains, and each once.
        is_left_closed: A maps one more v into the span of U, so that B has a column more than rows
            and there is no residual: U spans the codomain, or A v = 0 in a domain that is larger
            than the codomain, where a null vector is no singular value.
        transpose_defect: Largest |u' (A v) - (A' u)' v| over neighbours of the run, relative to
            `scale`: rounding for a true transpose, and `singular_values` refuses more.
        left: The rows u of U, zero beyond `active` and where A v = 0; None unless asked for.
        right: The rows v of V, zero beyond `active`; None unless asked for.
    """

    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    active: Int[Array, ""]
    matvecs: Int[Array, ""]
    rmatvecs: Int[Array, ""]
    left_orthogonality: Float[Array, ""]
    right_orthogonality: Float[Array, ""]
    scale: Float[Array, ""]
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    is_left_closed: Bool[Array, ""]
    transpose_defect: Float[Array, ""]
    left: Float[Array, "cap m"] | None = None
    right: Float[Array, "cap n"] | None = None


class _State(NamedTuple):
    lefts: Blocks  # finished rows, then zeros
    rights: Blocks
    left: Float[Array, " m"]  # last finished u
    right: Float[Array, " n"]  # next v, of unit length
    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    active: Int[Array, ""]
    rmatvecs: Int[Array, ""]
    scale: Float[Array, ""]
    defect: Float[Array, ""]  # in the operator's units
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    failed: Bool[Array, ""]  # a product was not finite


@jax.default_matmul_precision("highest")
def golub_kahan(
    operator: Operator,
    start: Float[Array, " n"],
    *,
    max_matvecs: int,
    tolerance: float,
    check_every: int = 4,
    keep_basis: bool = False,
) -> Bidiagonalisation:
    """Bidiagonalise an operator until its largest singular value has converged.

    This is Lanczos on A'A without ever forming its products, which would square the condition
    number: a singular value of 1e-6 |A| keeps ten digits in float64 and not four. Both sides are
    reorthogonalised in full.

    Stops when the residual bound beta |x| of the largest singular value is below `tolerance *
    scale`, when the spaces are invariant, or after `max_matvecs` products of A and as many of A'.
    Works under jit, vmap and `jax.lax.map`. A product that is not finite ends the run with
    `converged` false and NaN in B; so does a zero start vector.

    Args:
        operator: Any map A from n to m entries that has a transpose. Build it before the call,
            under the same jit.
        start: Start vector of any length but zero, in the domain.
        max_matvecs: Upper limit on products of A, clipped to min(m, n). The products of A' are as
            many.
        tolerance: Residual bound to reach, relative to |A|. Zero spends all products.
        check_every: Steps between tests of convergence, as in `lanczos`.
        keep_basis: Return U and V as well, `max_matvecs * (m + n)` numbers.

    Returns:
        The decomposition, with `cap = min(max_matvecs, m, n)`.

    Raises:
        NotTransposableError: If the operator has no transpose. Whether the one it has is right,
            the run measures (`transpose_defect`).
        ValueError: If `max_matvecs` is not positive.

    References:
        Golub and Kahan 1965, SIAM J. Numer. Anal. B 2, section 4. Golub and Van Loan 2013, Matrix
        Computations, section 10.4.
    """
    if not operator.has_transpose:
        raise NotTransposableError("singular values need products of the transpose")
    rows, columns = operator.codomain.size, operator.domain.size
    cap = depth(operator, max_matvecs)
    state = _initial(operator, start, cap)

    def unfinished(state: _State) -> Bool[Array, ""]:
        return (state.active < cap) & ~(state.converged | state.broke_down | state.failed)

    def step(state: _State) -> _State:
        state = _step(operator, state)
        due = ((state.active % check_every == 0) | (state.active == cap)) & ~state.failed
        never = jnp.array(jnp.inf, operator.dtype)
        reached = jax.lax.cond(due, _largest_residual, lambda _: never, state)
        return state._replace(converged=state.broke_down | (reached < tolerance))

    state = jax.lax.while_loop(unfinished, step, state)
    left = jnp.concatenate(state.lefts)[:cap]
    right = jnp.concatenate(state.rights)[:cap]
    no_image = state.broke_down & (state.rmatvecs < state.active)
    return Bidiagonalisation(
        alpha=state.alpha,
        beta=state.beta,
        active=state.active,
        matvecs=state.active,
        rmatvecs=state.rmatvecs,
        left_orthogonality=orthogonality(left, state.rmatvecs),
        right_orthogonality=orthogonality(right, state.active),
        scale=state.scale,
        converged=state.converged,
        broke_down=state.broke_down,
        is_left_closed=(state.rmatvecs == rows) | (no_image & (rows < columns)),
        transpose_defect=state.defect / nonzero(state.scale),
        left=left if keep_basis else None,
        right=right if keep_basis else None,
    )


def _initial(operator: Operator, start: Float[Array, " n"], cap: int) -> _State:
    dtype = jnp.promote_types(operator.domain.dtype, operator.codomain.dtype)
    start = start.astype(operator.dtype)
    zero = jnp.zeros((), operator.dtype)
    none = jnp.zeros((), jnp.int32)
    false = jnp.zeros((), bool)
    return _State(
        lefts=empty_blocks(cap, operator.codomain.size, dtype),
        rights=empty_blocks(cap, operator.domain.size, dtype),
        left=jnp.zeros(operator.codomain.size, operator.codomain.dtype),
        right=start / norm(start),
        alpha=jnp.zeros(cap, dtype),
        beta=jnp.zeros(cap, dtype),
        active=none,
        rmatvecs=none,
        scale=zero,
        defect=zero,
        converged=false,
        broke_down=false,
        failed=false,
    )


def _step(operator: Operator, state: _State) -> _State:
    """One row of B: a product of A, then one of A' unless A v = 0."""
    state = _left_step(operator, state)
    return jax.lax.cond(
        state.broke_down | state.failed,
        lambda state: state,
        lambda state: _right_step(operator, state),
        state,
    )


def _left_step(operator: Operator, state: _State) -> _State:
    """u_k and alpha_k from A v_k."""
    k, vector = state.active, state.right
    product = operator.product(vector)
    scale = jnp.maximum(state.scale, norm(product))
    coupling = jnp.where(k > 0, state.beta[k - 1], 0)
    residual = orthogonalise(state.lefts, product - coupling * state.left, k)
    alpha = norm(residual)
    threshold = rounding(operator, scale)
    # Where the coupling is nearly rounding, the vector is, too, and so is its difference.
    clear = coupling > CLEAR * threshold
    difference = jnp.where(clear, jnp.abs(state.left @ product - coupling), 0)
    null = alpha <= threshold
    left = jnp.where(null, 0, residual / jnp.where(null, 1, alpha))
    failed = ~jnp.isfinite(alpha)
    return state._replace(
        lefts=append(state.lefts, left, k),
        rights=append(state.rights, vector, k),
        left=left,
        alpha=state.alpha.at[k].set(jnp.where(null, 0, alpha)),
        active=k + 1,
        scale=scale,
        defect=jnp.maximum(state.defect, difference),
        broke_down=null & ~failed,
        failed=failed,
    )


def _right_step(operator: Operator, state: _State) -> _State:
    """v_{k+1} and beta_k from A' u_k."""
    k = state.active - 1
    product = operator.T.product(state.left)
    scale = jnp.maximum(state.scale, norm(product))
    alpha = state.alpha[k]
    residual = orthogonalise(state.rights, product - alpha * state.right, state.active)
    beta = norm(residual)
    threshold = rounding(operator, scale)
    clear = alpha > CLEAR * threshold
    difference = jnp.where(clear, jnp.abs(state.right @ product - alpha), 0)
    full = state.active == min(operator.domain.size, operator.codomain.size)
    broke_down = (beta <= threshold) | full
    failed = ~jnp.isfinite(beta)
    return state._replace(
        right=residual / jnp.where(broke_down, 1, beta),
        beta=state.beta.at[k].set(beta),
        rmatvecs=state.rmatvecs + 1,
        scale=scale,
        defect=jnp.maximum(state.defect, difference),
        broke_down=broke_down & ~failed,
        failed=failed,
    )


def _largest_residual(state: _State) -> Float[Array, ""]:
    """Residual bound of the largest singular value, relative to the scale.

    The inactive part of B is zero, and so are its singular values: none is the largest.
    """
    scale = nonzero(state.scale)
    last = state.active - 1
    inside = jnp.arange(state.alpha.size) < last
    superdiagonal = jnp.where(inside, state.beta / scale, 0)[:-1]
    bidiagonal = jnp.diag(state.alpha / scale) + jnp.diag(superdiagonal, 1)
    left, _, _ = jnp.linalg.svd(bidiagonal)
    return state.beta[last] / scale * jnp.abs(left[last, 0])
