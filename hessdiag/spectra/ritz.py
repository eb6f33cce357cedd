"""Eigenvalue estimates with errors, in float64 on the host, and the ends of I - alpha A."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np
from jaxtyping import DTypeLike, Float
from scipy.linalg import eigh_tridiagonal

from hessdiag.spectra.checks import require_symmetric
from hessdiag.spectra.lanczos import LanczosDecomposition

ROUNDING = 16.0
"""Error that the products' rounding leaves in any eigenvalue, in units of eps |A|.

Residual bounds shrink far below it and are then untrue. The largest error met in float32, on dense
and low-rank matrices with d = 60 to 25000, was 10 eps |A|, for one of 20 matrices of rank 12 with
d = 2000, under the XLA of JAX 0.12. In float64 two ways of forming one Hessian differed by
6 eps |A|.
"""

SOLVER_ROUNDING = 4.0
"""Error of the host's eigensolver, in units of sqrt(size) eps |A| in float64.

LAPACK was met with 1.4 sqrt(size) on exactly known matrices (Hadamard eigenvectors) of size 64 to
512. It matters only when the products, too, are in float64.
"""


Verdict = Literal["yes", "no", "undecided"]


@dataclasses.dataclass(frozen=True)
class RitzValues:
    """Eigenvalue estimates of one run, ascending.

    Attributes:
        values: Estimates, NaN if a product was not finite.
        weights: Squared overlap of the start vector with each Ritz vector; they sum to one.
        errors: Some eigenvalue lies within this distance of each value.
        matvecs: Products spent.
        converged: Both ends met the tolerance of the run.
        orthogonality: Largest entry of |Q Q' - I|; beyond sqrt(eps) values may be counted twice.
        rounding: Error that rounding alone leaves in any value, whatever its residual: a value
            within it of zero cannot be told from zero.
        asymmetry: Of the products, measured, relative to the norm.
        exact: Every eigenvalue is listed with its multiplicity, and the weights are 1 / d.
    """

    values: Float[np.ndarray, " active"]
    weights: Float[np.ndarray, " active"]
    errors: Float[np.ndarray, " active"]
    matvecs: int
    converged: bool
    orthogonality: float
    rounding: float
    asymmetry: float
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class Extremes:
    """Both ends of a spectrum, from one or several starts.

    Attributes:
        lowest: Lowest value of all starts.
        lowest_error: Its error: an eigenvalue lies within it.
        highest: Highest value of all starts.
        highest_error: Its error.
        disagreement: Largest distance between two starts' values of the same end, over the sum of
            their errors: above 1 some start has missed an end. NaN for a single start.
        matvecs: Products spent by all starts.
        converged: Every start converged.
        orthogonality: Worst of the starts.
    """

    lowest: float
    lowest_error: float
    highest: float
    highest_error: float
    disagreement: float
    matvecs: int
    converged: bool
    orthogonality: float


@dataclasses.dataclass(frozen=True)
class ShiftedExtremes:
    """Ends of the spectrum of I - alpha A, as distances from one.

    Attributes:
        low_minus_one: Lowest eigenvalue minus one, -alpha lambda_max.
        low_minus_one_error: Its error.
        high_minus_one: Highest eigenvalue minus one, -alpha lambda_min.
        high_minus_one_error: Its error.
        spectral_radius_minus_one: max(-alpha lambda_min, alpha lambda_max - 2).
        spectral_radius_minus_one_error: Its error.
        exceeds_one: Whether the spectral radius exceeds one, "undecided" if its interval covers
            one or is NaN.
    """

    low_minus_one: float
    low_minus_one_error: float
    high_minus_one: float
    high_minus_one_error: float
    spectral_radius_minus_one: float
    spectral_radius_minus_one_error: float
    exceeds_one: Verdict


def ritz_values(decomposition: LanczosDecomposition, *, rounds: float = 0.0) -> RitzValues:
    """Eigenvalues of the active part of T, with the error of each.

    The error is max(beta_m |s_mi|, rounding): the residual bound, but never less than what rounding
    leaves, about 16 eps |T| (`rounding_error`). After a breakdown every value is an eigenvalue.

    Args:
        decomposition: One Lanczos run, concrete; for a batch use `ritz_values_per_start`.
        rounds: Norm of what the products round, where that may be more than |A|: 1 for A'A - I,
            infinity where nothing is known of the maps behind A. Asymmetry within its rounding
            passes, and is in the errors.

    Returns:
        The values in ascending order; all NaN if T is not finite.

    Raises:
        NonSymmetricOperatorError: If the run measured more asymmetry than rounding.

    References:
        Parlett 1998, The Symmetric Eigenvalue Problem, section 13.2.
    """
    dtype, scale = decomposition.alpha.dtype, float(decomposition.scale)
    require_symmetric(decomposition.asymmetry, dtype, magnified=rounds / (scale or 1))
    active = int(decomposition.active)
    alpha = np.asarray(decomposition.alpha, np.float64)[:active]
    beta = np.asarray(decomposition.beta, np.float64)[:active]
    if np.isfinite(alpha).all() and np.isfinite(beta).all():
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        weights = vectors[0] ** 2
        residuals = beta[-1] * np.abs(vectors[-1])
    else:
        values = weights = residuals = np.full(active, np.nan)
    rounding = rounding_error(values, dtype)
    if rounds:
        rounding = float(np.maximum(rounding, decomposition.asymmetry * scale))
    return RitzValues(
        values=values,
        weights=weights,
        errors=np.maximum(residuals, rounding),
        matvecs=active,
        converged=bool(decomposition.converged),
        orthogonality=float(decomposition.orthogonality),
        rounding=rounding,
        asymmetry=float(decomposition.asymmetry),
    )


def rounding_error(values: Float[np.ndarray, " size"], dtype: DTypeLike) -> float:
    """Error that rounding leaves in eigenvalues: of the products, and of the host's eigensolver.

    Args:
        values: All the eigenvalues of the matrix that the host solved.
        dtype: Dtype of the products.

    Returns:
        The absolute error, NaN if a value is.
    """
    return backward_error(float(np.max(np.abs(values))), len(values), dtype, SOLVER_ROUNDING)


def backward_error(norm: float, size: int, dtype: DTypeLike, solver_rounding: float) -> float:
    """How far the matrix of which the host's numbers are true is from A at most, by rounding.

    Args:
        norm: |A|.
        size: Dimension of the matrix that the host solved.
        dtype: Dtype of the products.
        solver_rounding: Backward error of the host's solver, in units of sqrt(size) eps |A| in
            float64.
    """
    products = ROUNDING * float(np.finfo(dtype).eps)
    solver = solver_rounding * np.sqrt(size) * float(np.finfo(np.float64).eps)
    return float((products + solver) * norm)


def ritz_values_per_start(decompositions: LanczosDecomposition) -> list[RitzValues]:
    """Ritz values of a batch of runs, made by vmap or `jax.lax.map` over start vectors.

    Args:
        decompositions: Runs stacked along a leading axis; the basis may be absent.

    Returns:
        One result per run.
    """
    host = jax.device_get(decompositions._replace(basis=None))
    return [
        ritz_values(jax.tree.map(lambda leaf, i=i: leaf[i], host)) for i in range(len(host.alpha))
    ]


def extremes(runs: Sequence[RitzValues]) -> Extremes:
    """Both ends of the spectrum from several starts: the outermost value wins.

    A Ritz value never lies outside the spectrum, so the outermost is the best. Its error proves an
    eigenvalue near it, not that this is the last one; starts that disagree show that.

    Args:
        runs: Results of different random starts on the same operator, at least one.

    Returns:
        The ends, NaN if any run is NaN.
    """
    low = np.array([run.values[0] for run in runs])
    low_errors = np.array([run.errors[0] for run in runs])
    high = np.array([run.values[-1] for run in runs])
    high_errors = np.array([run.errors[-1] for run in runs])
    first, last = np.argmin(low), np.argmax(high)  # the first NaN, if there is one
    return Extremes(
        lowest=float(low[first]),
        lowest_error=float(low_errors[first]),
        highest=float(high[last]),
        highest_error=float(high_errors[last]),
        disagreement=max(_disagreement(low, low_errors), _disagreement(high, high_errors)),
        matvecs=sum(run.matvecs for run in runs),
        converged=all(run.converged for run in runs),
        orthogonality=float(np.max([run.orthogonality for run in runs])),
    )


def shifted(ends: Extremes, alpha: float) -> ShiftedExtremes:
    """Ends of the spectrum of I - alpha A, the Jacobian of one gradient step.

    1 - alpha lambda is never formed: subtracting one from it afterwards would leave no digits of a
    small alpha lambda. With mu = 1 - alpha lambda, |mu| - 1 is -alpha lambda or alpha lambda - 2,
    and the spectral radius exceeds one by the larger of these over the spectrum.

    Args:
        ends: Ends of the spectrum of A.
        alpha: Step size, not negative.

    Returns:
        Distances from one with their errors.

    Raises:
        ValueError: If `alpha` is negative.
    """
    if alpha < 0:
        raise ValueError(f"alpha is a step size and cannot be negative, got {alpha}")
    low, low_error = -alpha * ends.highest, alpha * ends.highest_error
    high, high_error = -alpha * ends.lowest, alpha * ends.lowest_error
    candidates = np.array([high, -low - 2])
    candidate_errors = np.array([high_error, low_error])
    radius = float(np.max(candidates))
    bottom = float(np.max(candidates - candidate_errors))
    top = float(np.max(candidates + candidate_errors))
    return ShiftedExtremes(
        low_minus_one=low,
        low_minus_one_error=low_error,
        high_minus_one=high,
        high_minus_one_error=high_error,
        spectral_radius_minus_one=radius,
        spectral_radius_minus_one_error=max(radius - bottom, top - radius),
        exceeds_one=verdict(bottom, top),
    )


def verdict(bottom: float, top: float) -> Verdict:
    """Whether a number in an interval is positive; undecided if an end is NaN."""
    return "yes" if bottom > 0 else "no" if top <= 0 else "undecided"


def _disagreement(
    values: Float[np.ndarray, " starts"], errors: Float[np.ndarray, " starts"]
) -> float:
    """Largest |value_i - value_j| / (error_i + error_j) over pairs of starts."""
    i, j = np.triu_indices(len(values), k=1)
    if i.size == 0:
        return float("nan")
    distances, allowances = np.abs(values[i] - values[j]), errors[i] + errors[j]
    ratios = np.divide(distances, allowances, out=np.zeros(i.size), where=distances != 0)
    return float(np.max(ratios))
