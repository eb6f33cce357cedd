"""Eigenvalue estimates with errors, in float64 on the host, and the ends of I - alpha A."""

import dataclasses
import itertools
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
and low-rank matrices with d = 60 to 25000, was 10 eps |A| (rank 12, d = 2000, the XLA of JAX 0.12).
In float64 two ways of forming one Hessian differed by 6 eps |A|.
"""

SOLVER_ROUNDING = 4.0
"""Error of the host's eigensolver, in units of sqrt(size) eps |A| in float64.

LAPACK was met with 1.4 sqrt(size) on exactly known matrices (Hadamard eigenvectors) of size 64 to
512. It matters only when the products, too, are in float64.
"""

Verdict = Literal["yes", "no", "undecided"]


@dataclasses.dataclass(frozen=True)
class RitzValues:
    """Eigenvalue estimates of one run, ascending: some eigenvalue lies within its error of each."""

    values: Float[np.ndarray, " active"]  # NaN if a product was not finite
    weights: Float[np.ndarray, " active"]  # squared overlaps with the start, which sum to one
    errors: Float[np.ndarray, " active"]
    matvecs: int  # products spent
    converged: bool  # both ends met the tolerance of the run
    orthogonality: float  # |Q Q' - I|; beyond sqrt(eps) values may be counted twice
    rounding: float  # error in any value: what lies within it of zero cannot be told from zero
    asymmetry: float  # of the products, measured, relative to the norm
    size: int  # d
    exact: bool = False  # every eigenvalue is listed with its multiplicity, and weights are 1 / d
    tridiagonal: Float[np.ndarray, "2 active"] | None = None  # T: diagonal, and couplings onwards


@dataclasses.dataclass(frozen=True)
class Extremes:
    """Both ends of a spectrum, from one or several starts: an eigenvalue is within each's error.

    The disagreement is the largest distance between two starts' values of the same end, over the
    sum of their errors: above 1 some start has missed an end. NaN for a single start.
    """

    lowest: float
    lowest_error: float
    highest: float
    highest_error: float
    disagreement: float
    matvecs: int  # products spent by all starts
    converged: bool  # every start
    orthogonality: float  # of the worst start


@dataclasses.dataclass(frozen=True)
class ShiftedExtremes:
    """Ends of the spectrum of I - alpha A, as distances from one with their errors."""

    low_minus_one: float  # -alpha lambda_max
    low_minus_one_error: float
    high_minus_one: float  # -alpha lambda_min
    high_minus_one_error: float
    spectral_radius_minus_one: float  # max(-alpha lambda_min, alpha lambda_max - 2)
    spectral_radius_minus_one_error: float
    exceeds_one: Verdict  # the radius; "undecided" if its interval covers one or is NaN


def ritz_values(decomposition: LanczosDecomposition, *, rounds: float = 0.0) -> RitzValues:
    """Eigenvalues of the active part of T, with the error of each.

    The error is max(beta_m |s_mi|, rounding): the residual bound, but never less than what rounding
    leaves, about 16 eps |T| (`rounding_error`). After a breakdown every value is an eigenvalue. The
    run is concrete; for a batch use `ritz_values_per_start`.

    The products may round more than |A|, which `rounds` says: 1 for A'A - I, infinity where nothing
    is known of the maps behind A. Asymmetry within its rounding passes, and is in the errors.

    Raises:
        NonSymmetricOperatorError: If the run measured more asymmetry than rounding.

    References:
        Parlett 1998, The Symmetric Eigenvalue Problem, section 13.2.
    """
    dtype, scale = decomposition.alpha.dtype, float(decomposition.scale)
    require_symmetric(decomposition.asymmetry, dtype, magnified=rounds / (scale or 1))
    active = int(decomposition.active)
    t = np.stack([decomposition.alpha, decomposition.beta]).astype(np.float64)[:, :active]
    if decomposition.broke_down:
        t[1, -1] = 0  # is rounding
    if np.isfinite(t).all():
        alpha, beta = t
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
        size=int(decomposition.size),
        tridiagonal=t,
    )


def rounding_error(values: Float[np.ndarray, " size"], dtype: DTypeLike) -> float:
    """Absolute error that rounding leaves in the eigenvalues of a matrix that the host solved.

    The dtype is that of the products. NaN if a value is.
    """
    return backward_error(float(np.max(np.abs(values))), len(values), dtype, SOLVER_ROUNDING)


def backward_error(norm: float, size: int, dtype: DTypeLike, solver_rounding: float) -> float:
    """How far the matrix of which the host's numbers are true is from A at most, by rounding.

    The norm is |A|, the size that of the matrix that the host solved, the dtype that of the
    products, and the host's backward error in units of sqrt(size) eps |A| in float64.
    """
    products = ROUNDING * float(np.finfo(dtype).eps)
    solver = solver_rounding * np.sqrt(size) * float(np.finfo(np.float64).eps)
    return float((products + solver) * norm)


def ritz_values_per_start(decompositions: LanczosDecomposition) -> list[RitzValues]:
    """Ritz values of each run of a batch, made by vmap or `jax.lax.map` over start vectors."""
    host = jax.device_get(decompositions._replace(basis=None))
    return [
        ritz_values(jax.tree.map(lambda leaf, i=i: leaf[i], host)) for i in range(len(host.alpha))
    ]


def extremes(runs: Sequence[RitzValues]) -> Extremes:
    """Both ends of the spectrum from several starts: the outermost value wins.

    A Ritz value never lies outside the spectrum, so the outermost is the best. Its error proves an
    eigenvalue near it, not that this is the last one; starts that disagree show that. NaN if any of
    the runs, of which there must be one, is NaN.
    """
    low, high = np.array([run.values[[0, -1]] for run in runs]).T
    low_errors, high_errors = np.array([run.errors[[0, -1]] for run in runs]).T
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
    """Ends of the spectrum of I - alpha A, the Jacobian of one gradient step, from those of A.

    1 - alpha lambda is never formed: subtracting one from it afterwards would leave no digits of a
    small alpha lambda. Its modulus minus one is -alpha lambda or alpha lambda - 2, and the spectral
    radius exceeds one by the larger of these over the spectrum.

    Raises:
        ValueError: If the step size alpha is negative.
    """
    if alpha < 0:
        raise ValueError(f"alpha is a step size and cannot be negative, got {alpha}")
    low, low_error = -alpha * ends.highest, alpha * ends.highest_error
    high, high_error = -alpha * ends.lowest, alpha * ends.lowest_error
    excess, errors = np.array([high, -low - 2]), np.array([high_error, low_error])
    radius = float(np.max(excess))
    bottom, top = float(np.max(excess - errors)), float(np.max(excess + errors))
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


def padded(nested: Sequence, depth: int) -> np.ndarray:
    """Vectors of unequal lengths, in lists `depth` deep, as one array padded with NaN."""
    shape, rows = [len(nested)], list(nested)
    for _ in range(depth - 1):
        shape.append(len(rows[0]))
        rows = [entry for row in rows for entry in row]
    filled = np.array([*itertools.zip_longest(*rows, fillvalue=np.nan)], np.float64).T
    return filled.reshape(*shape, -1)
