"""Lanczos tridiagonalisation with full reorthogonalisation, early stop and breakdown guard."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.gram_schmidt import nonzero
from hessdiag.spectra.krylov import Algorithm, Krylov, Step, build, depth, outcome
from hessdiag.spectra.operators import Operator

CLEAR = 100.0
"""Couplings of at least so many roundings can tell the asymmetry of the operator."""


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


class _Record(NamedTuple):
    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    previous: Float[Array, " d"]  # last finished row
    asymmetry: Float[Array, ""]  # in the operator's units


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
        **outcome(space, cap, keep_basis=keep_basis),
    )


def _without_neighbours(space: Krylov, product: Float[Array, " d"]) -> Float[Array, " d"]:
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
    return _eigenvectors_of(decomposition)[:, which] @ decomposition.basis


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
    weights = jnp.where(active[:, None] & active[None], _eigenvectors_of(decomposition), 0)
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


def _largest_end_residual(space: Krylov, ends: Literal["both", "highest"]) -> Float[Array, ""]:
    """Larger of the residual bounds of the extreme Ritz values, relative to the scale."""
    last = space.active - 1
    wanted = jnp.stack([jnp.zeros_like(last), last] if ends == "both" else [last])
    record, scale = space.record, nonzero(space.scale)
    vectors = _eigenvectors(record.alpha, record.beta, space.active, scale)
    return space.residual / scale * jnp.max(jnp.abs(vectors[last, wanted]))


def _eigenvectors_of(run: LanczosDecomposition) -> Float[Array, "cap cap"]:
    return _eigenvectors(run.alpha, run.beta, run.active, nonzero(run.scale))


def _eigenvectors(
    alpha: Float[Array, " cap"],
    beta: Float[Array, " cap"],
    active: Int[Array, ""],
    scale: Float[Array, ""],
) -> Float[Array, "cap cap"]:
    """Eigenvectors of T, as columns; those of the active part come first, by rising value.

    The inactive part of T is filled with 4, above every Ritz value (Gershgorin: at most 3 in units
    of the scale), so that it can neither mix with an active eigenvector nor pass for an end.
    """
    steps = jnp.arange(alpha.size)
    diagonal = jnp.where(steps < active, alpha / scale, 4)
    coupling = jnp.where(steps < active - 1, beta / scale, 0)[:-1]
    tridiagonal = jnp.diag(diagonal) + jnp.diag(coupling, 1) + jnp.diag(coupling, -1)
    return jnp.linalg.eigh(tridiagonal)[1]
