"""Singular values with errors, in float64 on the host, from a Golub-Kahan run."""

import dataclasses

import numpy as np
from jaxtyping import Array, DTypeLike, Float

from hessdiag.spectra.checks import SYMMETRY_LIMIT
from hessdiag.spectra.golub_kahan import Bidiagonalisation
from hessdiag.spectra.ritz import rounding_error


class WrongTransposeError(ValueError):
    """Singular values were asked for of a map whose transposed product is not its transpose."""


@dataclasses.dataclass(frozen=True)
class SingularValues:
    """Singular value estimates of one run, descending.

    Attributes:
        values: Estimates, NaN if a product was not finite.
        weights: Squared overlap of the start vector with each right singular vector. They sum to
            one, or to less by what a null space of A holds that is not listed.
        errors: Some singular value, of the min(m, n) that A has, lies within this distance of each.
        matvecs: Products of A spent.
        rmatvecs: Products of A' spent.
        converged: The largest met the tolerance of the run.
        broke_down: The run ended on invariant spaces: every value is one of A's.
        orthogonality: Largest entry of |U U' - I| and |V V' - I|; beyond sqrt(eps) values may be
            counted twice.
        rounding: Error that rounding alone leaves in any value.
    """

    values: Float[np.ndarray, " active"]
    weights: Float[np.ndarray, " active"]
    errors: Float[np.ndarray, " active"]
    matvecs: int
    rmatvecs: int
    converged: bool
    broke_down: bool
    orthogonality: float
    rounding: float


def singular_values(decomposition: Bidiagonalisation, *, trusted: bool = False) -> SingularValues:
    """Singular values of the active part of B, with the error of each.

    For a singular triple (x, sigma, y) of B, |A v - sigma u| = 0 and |A' u - sigma v| = beta_k
    |x_k|, with u = U' x and v = V' y; some singular value of A then lies within beta_k |x_k| of
    sigma. The error is never less than what rounding leaves, 8 eps |A| (`rounding_error`).

    Args:
        decomposition: One run, concrete.
        trusted: The transposed product is known to be one. What the run measured of a defect is
            then what the many maps behind the products round, and is in the errors.

    Returns:
        The values in descending order; all NaN if B is not finite.

    Raises:
        WrongTransposeError: If the run measured that the transposed product is none.

    References:
        Golub and Van Loan 2013, Matrix Computations, section 10.4.
    """
    if not trusted:
        require_transpose(decomposition.transpose_defect, decomposition.alpha.dtype)
    values, weights, residuals = _triples(decomposition)
    rounding = rounding_error(values, decomposition.alpha.dtype)
    if trusted:
        rounding += float(decomposition.transpose_defect * decomposition.scale)
    return SingularValues(
        values=values,
        weights=weights,
        errors=np.maximum(residuals, rounding),
        matvecs=int(decomposition.matvecs),
        rmatvecs=int(decomposition.rmatvecs),
        converged=bool(decomposition.converged) and not np.isinf(residuals).any(),
        broke_down=bool(decomposition.broke_down),
        orthogonality=float(
            np.maximum(decomposition.left_orthogonality, decomposition.right_orthogonality)
        ),
        rounding=rounding,
    )


def require_transpose(defect: float | Float[Array, ""], dtype: DTypeLike) -> None:
    """Refuse an operator whose two products were measured not to be each other's transpose.

    A NaN defect passes: it measured nothing, and the methods return NaN, not converged.

    Args:
        defect: `Bidiagonalisation.transpose_defect`, or that of `transpose_defect`; concrete.
        dtype: Dtype of the products.

    Raises:
        WrongTransposeError: If the defect exceeds `SYMMETRY_LIMIT` eps.
    """
    limit = SYMMETRY_LIMIT * float(np.finfo(dtype).eps)
    if float(defect) > limit:
        raise WrongTransposeError(
            f"transpose defect {float(defect):.1e} exceeds {limit:.1e} ({SYMMETRY_LIMIT:g} eps of "
            f"{np.dtype(dtype).name}): the transposed product is not that of the transpose, and "
            "there are no singular values to be had from the two"
        )


def _triples(
    run: Bidiagonalisation,
) -> tuple[
    Float[np.ndarray, " active"], Float[np.ndarray, " active"], Float[np.ndarray, " active"]
]:
    """Singular values of B, the weights of its first column in them, and their residual bounds."""
    closed, size = bool(run.is_left_closed), int(run.rmatvecs)
    if closed and size == 0:  # A v = 0 at once, in a domain where that says nothing
        return np.zeros(1), np.ones(1), np.full(1, np.inf)
    size = size if closed else int(run.active)
    alpha = np.asarray(run.alpha, np.float64)[:size]
    beta = np.asarray(run.beta, np.float64)[:size]
    if not (np.isfinite(alpha).all() and np.isfinite(beta).all()):
        nothing = np.full(size, np.nan)
        return nothing, nothing, nothing
    bidiagonal = np.diag(alpha) + np.diag(beta[:-1], 1)
    if closed:
        bidiagonal = np.column_stack([bidiagonal, beta[-1] * np.eye(size)[-1]])
    left, _, right = np.linalg.svd(bidiagonal, full_matrices=False)
    values = np.linalg.svd(bidiagonal, compute_uv=False)  # without vectors LAPACK errs far less
    residuals = np.zeros(size) if closed else beta[-1] * np.abs(left[-1])
    return values, right[:, 0] ** 2, residuals
