"""Lanczos tridiagonalisation with full reorthogonalisation, early stop and breakdown guard."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from hessdiag.spectra.checks import require_declared_symmetric, symmetry_limit
from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.krylov import Algorithm, Judgement, Krylov, Step, build, depth, outcome
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Vector

OVERLAP = 0.05
"""The least that a random unit start is taken to have of an eigenvector, in units of 1 / sqrt(d).

A normal number is smaller with probability 0.04: so often may one start hide an end from its run,
and four starts, if they agree, once in 400,000 times.
"""

SHORT = 6
"""In a run of so few steps hardly any pairs of rows can show what products round.

Runs on operators that are nearly of rank one end so soon.
"""

DIGITS = 16.0
"""An end that is known to so many eps |A| is as well known as it can be."""


class LanczosDecomposition(NamedTuple):
    """A Q' = Q' T + r e', with T tridiagonal; only the first `active` entries mean anything."""

    alpha: Float[Array, " cap"]  # diagonal of T, zero beyond `active`
    beta: Float[Array, " cap"]  # couplings of steps k and k + 1, the last active one |r|; then zero
    active: Int[Array, ""]  # valid steps, and products spent
    orthogonality: Scalar  # largest entry of |Q Q' - I| over the active rows
    scale: Scalar  # largest |A q| met, a lower estimate of the operator norm
    converged: Bool[Array, ""]  # the wanted ends met the tolerance, or the space is invariant
    broke_down: Bool[Array, ""]  # invariant: T has the eigenvalues of the start, each once
    asymmetry: Scalar  # |Q A Q' - T|_F, above the diagonal, relative to `scale`
    noise: Scalar  # what a product rounds, over `scale`; -1 where nothing asked for it
    sensitivity: Scalar  # how far rounding moves A x, over `scale`, where that was measured; or -1
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
    `tolerance * scale`, and no eigenvalue that the start has its share of can be further out by
    that much (`ritz.beyond`); when the Krylov space is invariant; or after `max_matvecs` products,
    and one more where the steps looked asymmetric or were very few, which measures what a product
    rounds. Run it on the Hessian itself and shift the values afterwards: the Krylov space of
    I - alpha A is the same, but adding the identity destroys the digits of a small alpha A.

    A start may have less than its share of an end: take several, and look at their disagreement
    (`extremes`).

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
        ValueError: If `ends` is unknown, `max_matvecs` not positive, `start` no vector (d,) of
            real numbers, or `tolerance` negative or NaN.

    References:
        Golub and Van Loan 2013, Matrix Computations, sections 10.1 and 10.3. Daniel, Gragg, Kaufman
        and Stewart 1976, Mathematics of Computation 30, for two passes being enough.
    """
    require_declared_symmetric(operator)
    if ends not in ("both", "highest"):
        raise ValueError(f"ends = {ends!r}; allowed: 'both', 'highest'")
    cap = depth(operator, start, max_matvecs, tolerance)
    zeros = jnp.zeros(cap, operator.dtype)
    blank = _Record(zeros, zeros, jnp.zeros(operator.size, operator.dtype), zeros[0])

    digits = DIGITS * float(jnp.finfo(operator.dtype).eps)

    def judge(space: Krylov) -> Judgement:
        pairs = _eigenpairs(space.record, space)
        known = space.explored & _ends_are_known(space, pairs, ends, tolerance)
        exhausted = space.explored & _ends_are_known(space, pairs, "both", digits)
        return Judgement(known, known, exhausted)

    def is_doubtful(space: Krylov) -> Bool[Array, ""]:
        limit = symmetry_limit(operator.dtype, operator.size)
        return (space.record.asymmetry > limit * space.scale) | _is_short(space)

    algorithm = Algorithm(blank, _without_neighbours, _recorded, judge, is_doubtful)
    space = build(
        operator, start, algorithm, cap=cap, check_every=check_every, min_matvecs=min_matvecs
    )
    return LanczosDecomposition(
        alpha=space.record.alpha,
        beta=space.record.beta,
        asymmetry=space.record.asymmetry / nonzero(space.scale),
        noise=space.noise,
        sensitivity=jnp.maximum(_sensitivity(operator, space, start), _short_noise(space)),
        **outcome(space, cap, keep_basis=keep_basis),
    )


def _without_neighbours(space: Krylov, product: Vector) -> Vector:
    """The three-term recurrence, which leaves rounding alone to Gram-Schmidt."""
    alpha = space.vector @ product
    return product - alpha * space.vector - space.residual * space.record.previous


def _recorded(space: Krylov, step: Step) -> _Record:
    """One row of T, and what the product has along rows where T has nothing."""
    k, record = space.active, space.record
    above = jnp.where(jnp.arange(step.column.size) < k, step.column, 0)
    return _Record(
        alpha=record.alpha.at[k].set(space.vector @ step.product),
        beta=record.beta.at[k].set(step.residual),
        previous=space.vector,
        asymmetry=jnp.hypot(record.asymmetry, norm(above)),
    )


@jax.default_matmul_precision("highest")
def end_vector(decomposition: LanczosDecomposition, end: Literal["lowest", "highest"]) -> Vector:
    """The unit Ritz vector of an end, from a run that kept its basis, to start a similar run."""
    run = decomposition
    assert run.basis is not None
    return _eigenpairs(run, run)[1][:, 0 if end == "lowest" else run.active - 1] @ run.basis


@jax.default_matmul_precision("highest")
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
    weights = jnp.where(active[:, None] & active[None], _eigenpairs(run, run)[1], 0)
    coupled = jnp.where(steps < last, run.beta, 0)[:, None]
    times_t = run.alpha[:, None] * weights
    times_t += coupled * jnp.roll(weights, -1, axis=0)
    times_t += jnp.roll(coupled * weights, 1, axis=0)
    bounds = jnp.where(active, run.beta[last] * jnp.abs(weights[last]), jnp.inf)
    return jnp.sum(weights * times_t, axis=0), weights.T @ run.basis, bounds


def _is_short(space: Krylov) -> Bool[Array, ""]:
    """Whether so few rows, fewer than there are, were enough."""
    return space.converged & (space.active <= SHORT) & (space.active < space.vector.size)


def _short_noise(space: Krylov) -> Scalar:
    """What a product rounds, in a run whose pairs of rows do not show it; twice the one draw."""
    return jnp.where(_is_short(space), 2 * space.noise, -1)


def _sensitivity(operator: Operator, space: Krylov, start: Vector) -> Scalar:
    """How far A x moves if A is made of moved numbers, for x between the Ritz vectors of both ends.

    The larger of two random moves, by a seed that is the start's own. A x itself is known, from T.
    """
    perturbed = operator.perturbed
    if perturbed is None:
        return -jnp.ones((), operator.dtype)
    basis, last = jnp.concatenate(space.basis), space.active - 1
    values, vectors = _eigenpairs(space.record, space)
    along = jnp.where(last == 0, 1, 0.5**0.5) * (vectors[:, last] + (last > 0) * vectors[:, 0])
    turned = vectors.T @ along
    image = vectors @ jnp.where(jnp.arange(len(values)) <= last, values * turned, 0)
    missing = (0, len(basis) - len(values))
    vector, image = jnp.pad(along, missing) @ basis, jnp.pad(image, missing) @ basis * space.scale
    image += space.residual * along[last] * space.vector

    def change(key: Key[Array, ""]) -> Scalar:
        return norm(perturbed(key)(vector) - image) / nonzero(space.scale)

    seed = jax.lax.bitcast_convert_type(start[0].astype(jnp.float32), jnp.int32)
    return jnp.max(jax.lax.map(change, jax.random.split(jax.random.key(seed), 2)))


def _ends_are_known(
    space: Krylov,
    pairs: tuple[Float[Array, " cap"], Float[Array, "cap cap"]],
    ends: Literal["both", "highest"],
    tolerance: float | Scalar,
) -> Bool[Array, ""]:
    """Whether residuals prove an eigenvalue near each end, and the couplings that none is beyond.

    Both to within the tolerance, relative to the scale. For the second see `ritz.beyond`.
    """
    last, size, (values, vectors) = space.active - 1, space.vector.size, pairs
    coupled = jnp.arange(values.size) < space.active
    least = jnp.finfo(values.dtype).eps / 2
    couplings = jnp.maximum(space.record.beta / nonzero(space.scale), least)
    hidden = jnp.sum(jnp.where(coupled, jnp.log(couplings), 0)) + jnp.log(size**0.5 / OVERLAP)

    def is_known(end: Int[Array, ""] | int) -> Bool[Array, ""]:
        residual = space.residual / nonzero(space.scale) * jnp.abs(vectors[last, end])
        distances = jnp.abs(values - values[end]) + tolerance
        return (residual < tolerance) & (
            jnp.sum(jnp.where(coupled, jnp.log(distances), 0)) > hidden
        )

    return is_known(last) if ends == "highest" else is_known(0) & is_known(last)


def _eigenpairs(
    t: _Record | LanczosDecomposition, run: Krylov | LanczosDecomposition
) -> tuple[Float[Array, " cap"], Float[Array, "cap cap"]]:
    """Eigenvalues of T over the scale, rising, and vectors, as columns; the active part is first.

    The inactive part of T is filled with 4, above every Ritz value (Gershgorin: at most 3 in units
    of the scale), so that it can neither mix with an active eigenvector nor pass for an end.
    """
    steps, scale = jnp.arange(t.alpha.size), nonzero(run.scale)
    diagonal = jnp.where(steps < run.active, t.alpha / scale, 4)
    coupling = jnp.where(steps < run.active - 1, t.beta / scale, 0)[:-1]
    tridiagonal = jnp.diag(diagonal) + jnp.diag(coupling, 1) + jnp.diag(coupling, -1)
    values, vectors = jnp.linalg.eigh(tridiagonal)
    return values, vectors
