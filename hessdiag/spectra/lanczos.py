"""Lanczos tridiagonalisation with full reorthogonalisation, early stop and breakdown guard."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.gram_schmidt import nonzero
from hessdiag.spectra.krylov import Algorithm, Krylov, Step, build, depth, outcome
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Vector

CLEAR = 100.0
"""Couplings of at least so many roundings can tell the asymmetry of the operator."""


class LanczosDecomposition(NamedTuple):
    """A Q' = Q' T + r e', with T tridiagonal; only the first `active` entries mean anything."""

    alpha: Float[Array, " cap"]  # diagonal of T, zero beyond `active`
    beta: Float[Array, " cap"]  # couplings of steps k and k + 1, the last active one |r|; then zero
    active: Int[Array, ""]  # valid steps, and products spent
    orthogonality: Scalar  # largest entry of |Q Q' - I| over the active rows
    scale: Scalar  # largest |A q| met, a lower estimate of the operator norm
    converged: Bool[Array, ""]  # the wanted ends met the tolerance, or the space is invariant
    broke_down: Bool[Array, ""]  # invariant: T has the eigenvalues of the start, each once
    asymmetry: Scalar  # largest |q_{k-1}' A q_k - q_k' A q_{k-1}|, relative to `scale`
    size: Int[Array, ""]  # d
    basis: Float[Array, "cap d"] | None = None  # rows q of Q, zero beyond `active`; where asked for


class _Record(NamedTuple):
    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    previous: Vector  # last finished row
    asymmetry: Scalar  # in the operator's units


@jax.default_matmul_precision("highest")
def lanczos(
    operator: Operator,
    start: Vector,
    *,
    max_matvecs: int,
    tolerance: float | Scalar,
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
        start: Start vector of any length but zero.
        max_matvecs: Upper limit on products; `cap` is the smaller of it and d.
        tolerance: Residual bound to reach, relative to |A|. Below 10 eps of the dtype it buys no
            digits that the products have. Zero spends all products, as a density wants.
        ends: Which ends have to converge.
        min_matvecs: Products before convergence counts: a density wants more than the ends do.
        check_every: Steps between tests of convergence. A test costs an eigendecomposition of size
            `max_matvecs`; 4 steps waste two products on average.
        keep_basis: Return Q as well, `max_matvecs * d` numbers.

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
    zeros = jnp.zeros(cap, operator.dtype)
    blank = _Record(zeros, zeros, jnp.zeros(operator.size, operator.dtype), zeros[0])

    def judge(space: Krylov) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
        converged = _largest_end_residual(space, ends) < tolerance
        return converged, converged

    algorithm = Algorithm(blank, _without_neighbours, _recorded, judge)
    space = build(
        operator, start, algorithm, cap=cap, check_every=check_every, min_matvecs=min_matvecs
    )
    return LanczosDecomposition(
        alpha=space.record.alpha,
        beta=space.record.beta,
        asymmetry=space.record.asymmetry / nonzero(space.scale),
        size=jnp.asarray(operator.size),
        **outcome(space, cap, keep_basis=keep_basis),
    )


def _without_neighbours(space: Krylov, product: Vector) -> Vector:
    """The three-term recurrence, which leaves rounding alone to Gram-Schmidt."""
    alpha = space.vector @ product
    return product - alpha * space.vector - space.residual * space.record.previous


def _recorded(space: Krylov, step: Step) -> _Record:
    """One row of T, and what the operator's asymmetry makes of its coupling."""
    k, record, coupling = space.active, space.record, space.residual
    # Where the coupling is nearly rounding, the vector is, too, and so is its difference.
    clear = coupling > CLEAR * step.threshold
    difference = jnp.where(clear, jnp.abs(record.previous @ step.product - coupling), 0)
    return _Record(
        alpha=record.alpha.at[k].set(space.vector @ step.product),
        beta=record.beta.at[k].set(step.residual),
        previous=space.vector,
        asymmetry=jnp.maximum(record.asymmetry, difference),
    )


def end_vector(decomposition: LanczosDecomposition, end: Literal["lowest", "highest"]) -> Vector:
    """The unit Ritz vector of an end, from a run that kept its basis, to start a similar run."""
    run = decomposition
    assert run.basis is not None
    return _eigenvectors(run, run)[:, 0 if end == "lowest" else run.active - 1] @ run.basis


def ritz_vectors(
    decomposition: LanczosDecomposition,
) -> tuple[Float[Array, " cap"], Float[Array, "cap d"], Float[Array, " cap"]]:
    """Rising Ritz values of a run that kept its basis, vectors as rows, residual bounds beta |s|.

    Works under jit. Entries beyond `active` have zero vectors and infinite bounds.
    """
    run = decomposition
    assert run.basis is not None
    steps, last = jnp.arange(run.alpha.size), run.active - 1
    active = steps < run.active
    weights = jnp.where(active[:, None] & active[None], _eigenvectors(run, run), 0)
    coupled = jnp.where(steps < last, run.beta, 0)[:, None]
    times_t = run.alpha[:, None] * weights
    times_t += coupled * jnp.roll(weights, -1, axis=0)
    times_t += jnp.roll(coupled * weights, 1, axis=0)
    bounds = jnp.where(active, run.beta[last] * jnp.abs(weights[last]), jnp.inf)
    return jnp.sum(weights * times_t, axis=0), weights.T @ run.basis, bounds


def _largest_end_residual(space: Krylov, ends: Literal["both", "highest"]) -> Scalar:
    """Larger of the residual bounds of the extreme Ritz values, relative to the scale."""
    last = space.active - 1
    wanted = jnp.stack([jnp.zeros_like(last), last] if ends == "both" else [last])
    vectors = _eigenvectors(space.record, space)
    return space.residual / nonzero(space.scale) * jnp.max(jnp.abs(vectors[last, wanted]))


def _eigenvectors(
    t: _Record | LanczosDecomposition, run: Krylov | LanczosDecomposition
) -> Float[Array, "cap cap"]:
    """Eigenvectors of T, as columns; those of the active part come first, by rising value.

    The inactive part of T is filled with 4, above every Ritz value (Gershgorin: at most 3 in units
    of the scale), so that it can neither mix with an active eigenvector nor pass for an end.
    """
    steps, scale = jnp.arange(t.alpha.size), nonzero(run.scale)
    diagonal = jnp.where(steps < run.active, t.alpha / scale, 4)
    coupling = jnp.where(steps < run.active - 1, t.beta / scale, 0)[:-1]
    tridiagonal = jnp.diag(diagonal) + jnp.diag(coupling, 1) + jnp.diag(coupling, -1)
    return jnp.linalg.eigh(tridiagonal)[1]
