"""Arnoldi's Hessenberg reduction of any square operator, with early stop and breakdown guard."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.krylov import Algorithm, Judgement, Krylov, Step, build, depth, outcome
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Vector

TOLD_APART = 0.01
"""Residual, relative to the distance from the shift, at which that distance is known."""

DIGITS = 10.0
"""Residuals of so many eps |A| are as small as they get."""


class ArnoldiDecomposition(NamedTuple):
    """A Q' = Q' H + r e', with H upper Hessenberg; only the first `active` entries mean anything.

    Where no comment says otherwise, the numbers are as those of a `LanczosDecomposition`.
    """

    hessenberg: Float[Array, "cap cap"]  # H, zero beyond its active rows and columns
    residual: Scalar  # norm of r, which is the next subdiagonal entry
    active: Int[Array, ""]
    orthogonality: Scalar
    scale: Scalar
    converged: Bool[Array, ""]  # the outermost Ritz value, relative to |A|, or an invariant space
    broke_down: Bool[Array, ""]  # invariant: H holds those eigenvalues that the start contains
    size: Int[Array, ""]  # d
    basis: Float[Array, "cap d"] | None = None


@jax.default_matmul_precision("highest")
def arnoldi(
    operator: Operator,
    start: Vector,
    *,
    max_matvecs: int,
    tolerance: float,
    shift: float | Scalar = 0.0,
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
    of that crowd has a small residual already. Nor does a small residual make an eigenvalue of a
    non-symmetric operator accurate: `complex_ritz_values` gives the errors.

    `shift` is the multiple of the identity that the map of interest has and A lacks. The other
    arguments, what ends a run early, and which transformations it works under, are as for
    `lanczos`; a test of convergence runs on a GPU's host or by its solver.

    Raises:
        ValueError: If the operator is not square, or `max_matvecs` not positive.

    References:
        Golub and Van Loan 2013, Matrix Computations, section 10.5.
    """
    if not operator.is_square:
        raise ValueError("Arnoldi needs a square operator; for singular values take its Gram")
    cap = depth(operator, start, max_matvecs, tolerance)
    blank = jnp.zeros((cap, cap), operator.dtype)

    def judge(space: Krylov) -> Judgement:
        vector, distance = _outermost(space.record, space, shift)
        residual = space.residual / nonzero(space.scale) * jnp.abs(vector[space.active - 1])
        allowed = jnp.maximum(TOLD_APART * distance, DIGITS * jnp.finfo(operator.dtype).eps)
        told_apart = (jnp.asarray(shift) == 0) | (residual < allowed)
        small = (residual < tolerance) & space.explored
        return Judgement(small, small & told_apart, space.explored)

    no = jnp.zeros((), bool)
    algorithm = Algorithm(blank, lambda _, product: product, _recorded, judge, lambda _: no)
    space = build(operator, start, algorithm, cap=cap, check_every=check_every)
    return ArnoldiDecomposition(
        hessenberg=space.record,
        residual=space.residual,
        **outcome(space, cap, keep_basis=keep_basis),
    )


@jax.default_matmul_precision("highest")
def outermost_vector(decomposition: ArnoldiDecomposition, *, shift: float | Scalar = 0.0) -> Vector:
    """The unit real part of the outermost Ritz vector, of a run with this shift and its basis."""
    run = decomposition
    assert run.basis is not None
    vector = _outermost(run.hessenberg, run, shift)[0].real @ run.basis
    return vector / norm(vector)


def _recorded(space: Krylov, step: Step) -> Float[Array, "cap cap"]:
    """One column of H."""
    k, cap = space.active, len(space.record)
    joined = space.record.at[k, k - 1].add(space.residual)  # adds 0 where k is 0
    return joined.at[:, k].set(step.column[:cap])


def _outermost(
    hessenberg: Float[Array, "cap cap"],
    run: Krylov | ArnoldiDecomposition,
    shift: float | Scalar,
) -> tuple[Complex[Array, " cap"], Scalar]:
    """Of the Ritz value of largest |shift + theta|: eigenvector of H, ||shift + theta| - |shift||.

    The distance is over the scale. The inactive diagonal of H is filled with numbers beyond every
    Ritz value: in units of the scale its columns have length at most 1, and |theta| <= sqrt(cap).
    """
    cap, scale = len(hessenberg), nonzero(run.scale)
    filling = jnp.where(jnp.arange(cap) < run.active, 0, 4 * cap**0.5)
    values, vectors = jnp.linalg.eig(hessenberg / scale + jnp.diag(filling))
    # |shift + theta|^2 - shift^2, over the scale: nothing cancels where theta is tiny.
    beyond = 2 * shift * values.real + scale * jnp.abs(values) ** 2
    outermost = jnp.argmax(jnp.where(jnp.abs(values) < 2 * cap**0.5, beyond, -jnp.inf))
    moduli = jnp.abs(shift + scale * values[outermost]) + jnp.abs(shift)
    return vectors[:, outermost], jnp.abs(beyond[outermost]) / nonzero(moduli)
