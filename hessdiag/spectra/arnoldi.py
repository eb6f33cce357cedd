"""Arnoldi's Hessenberg reduction of any square operator, with early stop and breakdown guard."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.krylov import Algorithm, Krylov, Step, build, depth, outcome
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
    rounding allows: |N| may be large while most eigenvalues crowd around zero, and a random vector
    of that crowd has a small residual already.

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
        raise ValueError("Arnoldi needs a square operator; for singular values take its Gram")
    cap = depth(operator, max_matvecs)
    blank = jnp.zeros((cap, cap), operator.dtype)

    def judge(space: Krylov) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
        vector, distance = _outermost(space.record, space.active, space.scale, shift)
        residual = space.residual / nonzero(space.scale) * jnp.abs(vector[space.active - 1])
        allowed = jnp.maximum(TOLD_APART * distance, DIGITS * jnp.finfo(operator.dtype).eps)
        told_apart = (jnp.asarray(shift) == 0) | (residual < allowed)
        return residual < tolerance, (residual < tolerance) & told_apart

    algorithm = Algorithm(blank, lambda _, product: product, _recorded, judge)
    space = build(operator, start, algorithm, cap=cap, check_every=check_every)
    return ArnoldiDecomposition(
        hessenberg=space.record,
        residual=space.residual,
        size=jnp.asarray(operator.size, jnp.int32),
        **outcome(space, cap, keep_basis=keep_basis),
    )


def outermost_vector(
    decomposition: ArnoldiDecomposition, *, shift: float | Float[Array, ""] = 0.0
) -> Float[Array, " d"]:
    """Real part of the outermost Ritz vector, of unit length: where to start a similar run.

    Args:
        decomposition: A run that kept its basis.
        shift: That of the run.
    """
    run = decomposition
    assert run.basis is not None
    vector = _outermost(run.hessenberg, run.active, run.scale, shift)[0].real @ run.basis
    return vector / norm(vector)


def _recorded(space: Krylov, step: Step) -> Float[Array, "cap cap"]:
    """One column of H."""
    k, cap = space.active, len(space.record)
    joined = space.record.at[k, k - 1].add(space.residual)  # adds 0 where k is 0
    return joined.at[:, k].set(step.column[:cap])


def _outermost(
    hessenberg: Float[Array, "cap cap"],
    active: Int[Array, ""],
    scale: Float[Array, ""],
    shift: float | Float[Array, ""],
) -> tuple[Complex[Array, " cap"], Float[Array, ""]]:
    """Of the Ritz value of largest |shift + theta|: its eigenvector of H, and how far beyond it is.

    The distance | |shift + theta| - |shift| | is over the scale.

    The inactive diagonal of H is filled with numbers beyond every Ritz value: in units of the
    scale the columns of H have length at most 1, so that |theta| <= sqrt(cap).
    """
    cap, scale = len(hessenberg), nonzero(scale)
    filling = jnp.where(jnp.arange(cap) < active, 0, 4 * cap**0.5)
    values, vectors = jnp.linalg.eig(hessenberg / scale + jnp.diag(filling))
    # |shift + theta|^2 - shift^2, over the scale: nothing cancels where theta is tiny.
    beyond = 2 * shift * values.real + scale * jnp.abs(values) ** 2
    outermost = jnp.argmax(jnp.where(jnp.abs(values) < 2 * cap**0.5, beyond, -jnp.inf))
    moduli = jnp.abs(shift + scale * values[outermost]) + jnp.abs(shift)
    return vectors[:, outermost], jnp.abs(beyond[outermost]) / nonzero(moduli)
