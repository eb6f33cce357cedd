"""Eigenvalue estimates with errors, in float64 on the host, and the ends of I - alpha A."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from hessdiag.spectra.accuracy import least_error, rounding_error
from hessdiag.spectra.checks import require_symmetric
from hessdiag.spectra.lanczos import OVERLAP, LanczosDecomposition

SENSITIVITY = 4.0
"""Error of an eigenvalue in units of what random moves of the parameters by eps do to A x.

Against float64, on 240 deep tanh and recurrent networks and 120 that compute in bfloat16: 1.9 at
most with the moves of two starts, and beyond 4 twice with those of one.
"""

_HALVINGS = 60  # of an interval of logarithms that is some hundreds long

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
    noise: float = 0.0  # what a product rounds, relative to the norm, where that was measured
    beyond: tuple[float, float] = (0.0, 0.0)  # how far below and above the ends others may hide
    exact: bool = False  # every eigenvalue is listed with its multiplicity, and weights are 1 / d
    tridiagonal: Float[np.ndarray, "2 active"] | None = None  # T: diagonal, and couplings onwards


@dataclasses.dataclass(frozen=True)
class Extremes:
    """Both ends of a spectrum, from one or several random starts, each within its error.

    An eigenvalue is within each's error, and none beyond it, unless every start has less than
    `OVERLAP / sqrt(d)` of that one's eigenvector: with probability 0.04 for one start, 2e-3 for
    two, 3e-6 for four. The disagreement is the largest distance between two starts' values of the
    same end, over the sum of their errors: above 1 some start has missed an end. NaN for a single
    start.
    """

    lowest: float
    lowest_error: float
    highest: float
    highest_error: float
    disagreement: float
    matvecs: int  # products spent by all starts
    converged: bool  # every start
    orthogonality: float  # of the worst start
    noise: float = 0.0  # what a product rounds, relative to the norm, where a start measured that
    complete: bool = False  # every start has found all eigenvalues

    @property
    def are_last(self) -> bool:
        """Whether starts converged and agree (a single one has no witness), or found all."""
        return self.converged and (self.complete or self.disagreement <= 1)


@dataclasses.dataclass(frozen=True)
class ShiftedExtremes:
    """Ends of the spectrum of I - alpha A, as distances from one with their errors."""

    low_minus_one: float  # -alpha lambda_max
    low_minus_one_error: float
    high_minus_one: float  # -alpha lambda_min
    high_minus_one_error: float
    spectral_radius_minus_one: float  # max(-alpha lambda_min, alpha lambda_max - 2)
    spectral_radius_minus_one_error: float
    exceeds_one: Verdict  # "undecided" if the interval covers one, and if a "no" has no witnesses


def ritz_values(decomposition: LanczosDecomposition, *, rounds: float = 0.0) -> RitzValues:
    """Eigenvalues of the active part of T, with the error of each.

    The error is max(beta_m |s_mi|, rounding): the residual bound, but never less than what rounding
    leaves, about 16 eps |T| (`rounding_error`), or than the asymmetry and noise measured. After a
    breakdown every value is an eigenvalue. For a batch of runs use `ritz_values_per_start`.

    The products may round more than |A|, which `rounds` says: 1 for A'A - I, infinity where nothing
    is known of the maps behind A.

    Raises:
        NonSymmetricOperatorError: If the run measured more asymmetry than rounding or noise.
        NoisyOperatorError: If products are mostly noise.

    References:
        Parlett 1998, The Symmetric Eigenvalue Problem, section 13.2.
    """
    dtype, scale = decomposition.alpha.dtype, float(decomposition.scale)
    defect, noise = float(decomposition.asymmetry), float(decomposition.noise)
    active, size = int(decomposition.active), int(decomposition.size)
    require_symmetric(
        defect, dtype, magnified=rounds / (scale or 1), size=size, noise=noise, steps=active
    )
    t = np.stack([decomposition.alpha, decomposition.beta]).astype(np.float64)[:, :active]
    if np.isfinite(t).all():
        alpha, beta = t
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        weights = vectors[0] ** 2
        residuals = beta[-1] * np.abs(vectors[-1])
    else:
        values = weights = residuals = np.full(active, np.nan)
    determined = SENSITIVITY * float(decomposition.sensitivity)
    measured = max(defect, noise, determined) * scale
    rounding = float(np.maximum(rounding_error(values, dtype), max(measured, least_error(dtype))))
    least = max(np.finfo(dtype).eps / 2, noise) * scale
    couplings = np.maximum(t[1], max(least, np.finfo(dtype).tiny))
    t[1, -1] *= not decomposition.broke_down  # what a breakdown leaves is rounding
    return RitzValues(
        values=values,
        weights=weights,
        errors=np.maximum(residuals, rounding),
        matvecs=active + (noise >= 0),
        converged=bool(decomposition.converged),
        orthogonality=float(decomposition.orthogonality),
        rounding=rounding,
        asymmetry=defect,
        noise=max(noise, determined, 0.0),
        beyond=beyond(values, couplings, size) if scale else (0.0, 0.0),
        size=size,
        tridiagonal=t,
    )


def with_rounding(run: RitzValues, error: float) -> RitzValues:
    """The run, where rounding was seen to leave such an error in its values."""
    if not error > run.rounding:
        return run
    return dataclasses.replace(run, errors=np.maximum(run.errors, error), rounding=error)


def beyond(
    values: Float[np.ndarray, " active"], couplings: Float[np.ndarray, " active"], size: int
) -> tuple[float, float]:
    """How far below and above the Ritz values an eigenvalue can be that the run has not seen.

    The monic p with the Ritz values as its zeros has |p(A) v| = beta_1 ... beta_m for the unit
    start v. So |p(lambda)| |u'v| is at most that for any eigenpair (lambda, u), and where u'v is at
    least `OVERLAP / sqrt(d)` this bounds how far out lambda is. Nothing is left to see in a run of
    d steps.
    """
    if len(values) == size:
        return 0.0, 0.0
    target = np.sum(np.log(couplings)) + np.log(size**0.5 / OVERLAP)

    def distance(gaps: np.ndarray) -> float:
        """The zero of the rising sum(log(distance + gaps)) - target."""
        low, high = -700.0, target / len(gaps)  # logarithms: with all gaps zero the second is it
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_below = np.sum(np.log(np.exp(middle) + gaps)) < target
            low, high = (middle, high) if is_below else (low, middle)
        return float(np.exp(high))

    return distance(values - values[0]), distance(values[-1] - values)


def ritz_values_per_start(decompositions: LanczosDecomposition) -> list[RitzValues]:
    """Ritz values of each run of a batch, made by vmap or `jax.lax.map` over start vectors.

    What any of the runs measured of the products' rounding counts for all.
    """
    host = jax.device_get(decompositions._replace(basis=None))
    host = host._replace(sensitivity=np.broadcast_to(np.max(host.sensitivity), host.scale.shape))
    return [
        ritz_values(jax.tree.map(lambda leaf, i=i: leaf[i], host)) for i in range(len(host.alpha))
    ]


def extremes(runs: Sequence[RitzValues]) -> Extremes:
    """Both ends of the spectrum from several starts: the outermost value wins.

    A Ritz value never lies outside the spectrum, so the outermost is the best. Its error reaches to
    where an eigenvalue may hide from any of the starts. NaN if any of the runs is NaN.

    Raises:
        ValueError: If there are no runs.
    """
    if len(runs) == 0:
        raise ValueError("runs is empty; allowed: the Ritz values of one start or more")
    low, high = np.array([run.values[[0, -1]] for run in runs]).T
    low_errors, high_errors = np.array([run.errors[[0, -1]] for run in runs]).T
    below, above = np.array([run.beyond for run in runs]).T
    first, last = np.argmin(low), np.argmax(high)  # the first NaN, if there is one
    hidden_below = low[first] - np.min(low - below)
    hidden_above = np.max(high + above) - high[last]
    return Extremes(
        lowest=float(low[first]),
        lowest_error=float(np.maximum(low_errors[first], hidden_below)),
        highest=float(high[last]),
        highest_error=float(np.maximum(high_errors[last], hidden_above)),
        disagreement=max(_disagreement(low, low_errors), _disagreement(high, high_errors)),
        matvecs=sum(run.matvecs for run in runs),
        converged=all(run.converged for run in runs),
        orthogonality=float(np.max([run.orthogonality for run in runs])),
        noise=max(run.noise for run in runs),
        complete=all(run.exact or run.beyond == (0, 0) for run in runs),
    )


def ends_with_rounding(ends: Extremes, error: float) -> Extremes:
    """The ends, where rounding was seen to leave such an error in them."""
    return dataclasses.replace(
        ends,
        lowest_error=float(np.maximum(ends.lowest_error, error)),
        highest_error=float(np.maximum(ends.highest_error, error)),
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
        exceeds_one=verdict(bottom, top, is_last=ends.are_last),
    )


def verdict(bottom: float, top: float, *, is_last: bool) -> Verdict:
    """Whether the largest number of a spectrum, which is in an interval, is positive.

    One number proves a "yes"; a "no" needs it to be known for the last one. Undecided if an end of
    the interval is NaN.
    """
    return "yes" if bottom > 0 else "no" if top <= 0 and is_last else "undecided"


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
