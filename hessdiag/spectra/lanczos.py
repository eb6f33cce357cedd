"""Lanczos tridiagonalisation with full reorthogonalisation, early stop and breakdown guard."""

from typing import Literal, NamedTuple

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
    orthogonalise,
    orthogonality,
)
from hessdiag.spectra.krylov import CLEAR, depth, rounding
from hessdiag.spectra.operators import Operator


class LanczosDecomposition(NamedTuple):
    """A Q' = Q' T + r e', with T tridiagonal; only the first `active` entries mean anything.

    Attributes:
        alpha: Diagonal of T, zero beyond `active`.
        beta: Couplings of T; `beta[k]` joins steps k and k + 1, and the last active one is the norm
            of the residual r. Zero beyond `active`.
        active: Number of valid steps, which is the number of products spent.
        orthogonality: Largest entry of |Q Q' - I| over the active rows.
        scale: Largest |A q| met, a lower estimate of the operator norm.
        converged: The Ritz values at the wanted ends met the tolerance, or the space is invariant.
        broke_down: The space became invariant: T holds eigenvalues, but only those that the start
            vector contains, and each once.
        asymmetry: Largest |q_{k-1}' A q_k - q_k' A q_{k-1}| over the run, relative to `scale`:
            rounding for a symmetric A, and `ritz_values` refuses more.
        basis: The rows q of Q, zero beyond `active`; None unless it was asked for.
    """

    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    active: Int[Array, ""]
    orthogonality: Float[Array, ""]
    scale: Float[Array, ""]
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    asymmetry: Float[Array, ""]
    basis: Float[Array, "cap d"] | None = None


class _State(NamedTuple):
    basis: Blocks  # finished rows, then zeros
    previous: Float[Array, " d"]  # last finished row
    vector: Float[Array, " d"]  # next row, of unit length
    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    active: Int[Array, ""]
    scale: Float[Array, ""]
    asymmetry: Float[Array, ""]  # in the operator's units
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    failed: Bool[Array, ""]  # a product was not finite


@jax.default_matmul_precision("highest")
def lanczos(
    operator: Operator,
    start: Float[Array, " d"],
    *,
    max_matvecs: int,
    tolerance: float | Float[Array, ""],
    ends: Literal["both", "highest"] = "both",
    min_matvecs: int = 0,
    check_every: int = 4,
    keep_basis: bool = False,
) -> LanczosDecomposition:
    """Tridiagonalise a symmetric operator until the ends of its spectrum have converged.

    Stops when the residual bounds beta |s| of the lowest and the highest Ritz value are below
    `tolerance * scale`, when the Krylov space is invariant, or after `max_matvecs` products. Run it
    on the Hessian itself and shift the values afterwards: the Krylov space of I - alpha A is the
    same, but adding the identity destroys the digits of a small alpha A.

    A residual proves an eigenvalue near a value, not that it is the last one: of single starts on
    a spectrum whose ends lie close, 2 % stopped at the second eigenvalue. Take several starts, and
    look at their disagreement (`extremes`).

    Works under jit, vmap and `jax.lax.map`. A product that is not finite ends the run with
    `converged` false and NaN in T; so does a zero start vector.

    Args:
        operator: The symmetric map A. Build it before the call, under the same jit: its
            linearisation then stays outside the loop.
        start: Start vector of any length but zero, in the operator's dtype.
        max_matvecs: Upper limit on products, clipped to d.
        tolerance: Residual bound to reach, relative to |A|. Below 10 eps of the dtype it buys no
            digits that the products have. Zero spends all products, as a density wants.
        ends: Which ends have to converge.
        min_matvecs: Products to spend before convergence counts: ends converge early, and a
            density wants more.
        check_every: Steps between tests of convergence. A test costs an eigendecomposition of size
            `max_matvecs`; 4 steps waste two products on average.
        keep_basis: Return Q as well, `max_matvecs * d` numbers.

    Returns:
        The decomposition, with `cap = min(max_matvecs, d)`.

    Raises:
        NonSymmetricOperatorError: If the operator is not declared symmetric. Whether a declared
            one is, the run measures (`asymmetry`).
        ValueError: If `max_matvecs` is not positive.

    References:
        Golub and Van Loan 2013, Matrix Computations, sections 10.1 and 10.3. Daniel, Gragg, Kaufman
        and Stewart 1976, Mathematics of Computation 30, for two passes being enough.
    """
    require_declared_symmetric(operator)
    cap = depth(operator, max_matvecs)
    state = _initial(operator, start, cap)

    def unfinished(state: _State) -> Bool[Array, ""]:
        return (state.active < cap) & ~(state.converged | state.broke_down | state.failed)

    def step(state: _State) -> _State:
        state = _step(operator, state)
        due = ((state.active % check_every == 0) | (state.active == cap)) & ~state.failed
        due &= state.active >= min_matvecs
        never = jnp.array(jnp.inf, operator.dtype)
        reached = jax.lax.cond(
            due, lambda state: _largest_end_residual(state, ends), lambda _: never, state
        )
        return state._replace(converged=state.broke_down | (reached < tolerance))

    state = jax.lax.while_loop(unfinished, step, state)
    basis = jnp.concatenate(state.basis)[:cap]
    return LanczosDecomposition(
        alpha=state.alpha,
        beta=state.beta,
        active=state.active,
        orthogonality=orthogonality(basis, state.active),
        scale=state.scale,
        converged=state.converged,
        broke_down=state.broke_down,
        asymmetry=state.asymmetry / nonzero(state.scale),
        basis=basis if keep_basis else None,
    )


def _initial(operator: Operator, start: Float[Array, " d"], cap: int) -> _State:
    start = start.astype(operator.dtype)
    zero = jnp.zeros((), operator.dtype)
    false = jnp.zeros((), bool)
    return _State(
        basis=empty_blocks(cap, operator.size, operator.dtype),
        previous=jnp.zeros_like(start),
        vector=start / norm(start),
        alpha=jnp.zeros(cap, operator.dtype),
        beta=jnp.zeros(cap, operator.dtype),
        active=jnp.zeros((), jnp.int32),
        scale=zero,
        asymmetry=zero,
        converged=false,
        broke_down=false,
        failed=false,
    )


def _step(operator: Operator, state: _State) -> _State:
    """One product, one row of T, one more basis vector."""
    k, vector = state.active, state.vector
    basis = append(state.basis, vector, k)
    product = operator.product(vector)
    scale = jnp.maximum(state.scale, norm(product))
    alpha = vector @ product
    coupling = jnp.where(k > 0, state.beta[k - 1], 0)
    residual = product - alpha * vector - coupling * state.previous
    residual = orthogonalise(basis, residual, k + 1)
    beta = norm(residual)
    threshold = rounding(operator, scale)
    # Where the coupling is nearly rounding, the vector is, too, and so is its difference.
    clear = coupling > CLEAR * threshold
    difference = jnp.where(clear, jnp.abs(state.previous @ product - coupling), 0)
    broke_down = (beta <= threshold) | (k + 1 == operator.size)
    failed = ~jnp.isfinite(alpha + beta)
    return state._replace(
        basis=basis,
        previous=vector,
        vector=residual / jnp.where(broke_down, 1, beta),
        alpha=state.alpha.at[k].set(alpha),
        beta=state.beta.at[k].set(beta),
        active=k + 1,
        scale=scale,
        asymmetry=jnp.maximum(state.asymmetry, difference),
        broke_down=broke_down & ~failed,
        failed=failed,
    )


def end_vector(
    decomposition: LanczosDecomposition, end: Literal["lowest", "highest"]
) -> Float[Array, " d"]:
    """The Ritz vector of an extreme Ritz value, of unit length: where to start a similar run.

    Args:
        decomposition: A run that kept its basis.
        end: Which.
    """
    assert decomposition.basis is not None
    which = 0 if end == "lowest" else decomposition.active - 1
    return _eigenvectors(decomposition)[:, which] @ decomposition.basis


def ritz_vectors(
    decomposition: LanczosDecomposition,
) -> tuple[Float[Array, " cap"], Float[Array, "cap d"], Float[Array, " cap"]]:
    """All Ritz values by rising value, their vectors as rows, and their residual bounds beta |s|.

    Works under jit. Entries beyond `active` have zero vectors and infinite bounds.

    Args:
        decomposition: A run that kept its basis.
    """
    assert decomposition.basis is not None
    steps = jnp.arange(decomposition.alpha.size)
    active = steps < decomposition.active
    weights = jnp.where(active[:, None] & active[None], _eigenvectors(decomposition), 0)
    coupled = jnp.where(steps < decomposition.active - 1, decomposition.beta, 0)
    times_t = decomposition.alpha[:, None] * weights
    times_t += coupled[:, None] * jnp.roll(weights, -1, axis=0)
    times_t += jnp.roll(coupled[:, None] * weights, 1, axis=0)
    last = decomposition.active - 1
    bounds = decomposition.beta[last] * jnp.abs(weights[last])
    return (
        jnp.sum(weights * times_t, axis=0),
        weights.T @ decomposition.basis,
        jnp.where(active, bounds, jnp.inf),
    )


def _largest_end_residual(state: _State, ends: Literal["both", "highest"]) -> Float[Array, ""]:
    """Larger of the residual bounds of the extreme Ritz values, relative to the scale."""
    last = state.active - 1
    scale = nonzero(state.scale)
    wanted = jnp.stack([jnp.zeros_like(last), last] if ends == "both" else [last])
    return state.beta[last] / scale * jnp.max(jnp.abs(_eigenvectors(state)[last, wanted]))


def _eigenvectors(run: _State | LanczosDecomposition) -> Float[Array, "cap cap"]:
    """Eigenvectors of T, as columns; those of the active part come first, by rising value.

    The inactive part of T is filled with 4, above every Ritz value (Gershgorin: at most 3 in units
    of the scale), so that it can neither mix with an active eigenvector nor pass for an end.
    """
    steps = jnp.arange(run.alpha.size)
    scale = nonzero(run.scale)
    diagonal = jnp.where(steps < run.active, run.alpha / scale, 4)
    coupling = jnp.where(steps < run.active - 1, run.beta / scale, 0)[:-1]
    tridiagonal = jnp.diag(diagonal) + jnp.diag(coupling, 1) + jnp.diag(coupling, -1)
    return jnp.linalg.eigh(tridiagonal)[1]
