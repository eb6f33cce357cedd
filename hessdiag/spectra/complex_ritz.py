"""Eigenvalue estimates of a non-symmetric operator, and its spectral radius, with errors."""

import dataclasses
from typing import cast

import numpy as np
from jaxtyping import Complex, Float
from scipy.linalg import eig

from hessdiag.spectra.accuracy import backward_error
from hessdiag.spectra.arnoldi import ArnoldiDecomposition
from hessdiag.spectra.ritz import Verdict, verdict

SOLVER_ROUNDING = 12.0
"""Backward error of the host's eigensolver, in units of sqrt(size) eps |A| in float64.

LAPACK's non-symmetric solver was met with 4.0 sqrt(size) on exactly known matrices (Hadamard
eigenvectors) of size 16 to 512. It matters only when the products, too, are in float64.
"""

Numbers = Float[np.ndarray, " active"]
_HALVINGS = 60  # of an interval of log distances that is at most a few hundred long


@dataclasses.dataclass(frozen=True)
class ComplexRitzValues:
    """Eigenvalue estimates of one run, by falling modulus; complex ones come in conjugate pairs.

    Some eigenvalue lies within its error of each value, as far as the departure from normality is
    what it was said to be. The estimates are first-order errors, condition times residual: what to
    expect while perturbations are small, but no bound. They are never above the errors.
    """

    values: Complex[np.ndarray, " active"]  # NaN if a product was not finite
    residuals: Numbers  # backward errors: an eigenvalue of some A + E with |E| at most this
    conditions: Numbers  # 1 / |y'x| for left and right eigenvectors of H; infinite where defective
    estimates: Numbers
    errors: Numbers
    matvecs: int
    converged: bool  # the outermost value met the tolerance of the run
    orthogonality: float  # |Q Q' - I|; beyond sqrt(eps) values may be counted twice
    rounding: float  # backward error that rounding alone leaves in any value
    complete: bool = False  # all d eigenvalues are there


@dataclasses.dataclass(frozen=True)
class SpectralRadius:
    """Spectral radius of I + N, minus one."""

    minus_one: float  # largest |1 + nu| - 1 of all values nu, without subtracting from near one
    error: float  # I + N has an eigenvalue whose modulus is within it
    estimate: float  # first-order error, no bound
    exceeds_one: Verdict  # "undecided" if the interval covers one or is NaN
    exceeds_one_to_first_order: Verdict  # by `estimate`


def complex_ritz_values(
    decomposition: ArnoldiDecomposition, *, departure: float, noise: float = 0.0
) -> ComplexRitzValues:
    """Eigenvalues of the active part of H, with the errors of each.

    The backward error is max(h |s_m|, rounding), with h the norm of the residual, s an eigenvector
    of H of unit length, and what rounding leaves, about 16 eps |A| and the noise. For a normal
    operator it is the error; `eigenvalue_distance` makes one of it for any other.

    Args:
        decomposition: One Arnoldi run, concrete and not a batch.
        departure: Upper bound on the Frobenius norm of the departure from normality of A or of
            A + c I (`departure_from_normality`). Zero if A is normal, infinity if nothing is known:
            then the errors are infinite.
        noise: How far products of unit vectors were seen to be from those of A, where they round
            more than |A|, as where A is what others leave that nearly cancel.

    Raises:
        ValueError: If the departure is negative.

    References:
        Saad 2011, Numerical Methods for Large Eigenvalue Problems, sections 3.2 and 6.2.
    """
    active = int(decomposition.active)
    hessenberg = np.asarray(decomposition.hessenberg, np.float64)[:active, :active]
    residual = float(decomposition.residual)
    if np.isfinite(hessenberg).all() and np.isfinite(residual):
        values, residuals, conditions = _eigenvalues(hessenberg, residual)
        norm = np.linalg.norm(np.vstack([hessenberg, residual * np.eye(active)[-1]]), 2)
    else:
        values = np.full(active, complex(np.nan, np.nan))
        residuals = conditions = np.full(active, np.nan)
        norm = np.nan
    dtype = decomposition.hessenberg.dtype
    rounding = backward_error(float(norm), active, dtype, SOLVER_ROUNDING) + noise
    residuals = np.maximum(residuals, rounding)
    errors = eigenvalue_distance(residuals, departure=departure, size=int(decomposition.size))
    return ComplexRitzValues(
        values=values,
        residuals=residuals,
        conditions=conditions,
        estimates=np.minimum(conditions * residuals, errors),
        errors=errors,
        matvecs=active,
        converged=bool(decomposition.converged),
        orthogonality=float(decomposition.orthogonality),
        rounding=rounding,
        complete=active == int(decomposition.size),
    )


def eigenvalue_distance(residuals: Numbers, *, departure: float, size: int) -> Numbers:
    """How far from every eigenvalue of A, of this size, a number of this backward error can be.

    Write A = U (D + N) U' in Schur form, with |N|_F <= departure. A number theta at distance s from
    every eigenvalue has 1 / residual <= |(A - theta)^{-1}| <= phi(departure / s) / s, so that
    s <= residual * phi(departure / s). Two bounds on |(I + M)^{-1}| for strictly triangular M with
    |M|_F <= x are valid for phi(x), and the smaller one is taken:

        1 + x + ... + x^{size-1},  from the Neumann series (Henrici);
        (1 + (1 + x^2) / (size - 1))^{(size-1)/2},  the product of all singular values being 1, and
            that of all but the smallest at most what the mean of their squares allows.

    The first is sharp near normality, the second for a Jordan block, with the truth
    residual^(1/size); and for x beyond 1 only the second stays finite as the size grows.

    The result lies between residual and residual + departure.

    Raises:
        ValueError: If the departure is negative.

    References:
        Henrici 1962, Numerische Mathematik 4, on spectral variation.
    """
    if departure < 0:
        raise ValueError(f"a departure from normality cannot be negative, got {departure}")
    if departure == 0 or not np.isfinite(departure):
        return residuals + departure
    safe = np.where(residuals == 0, 1, residuals)
    ratio = departure / safe
    low, high = np.zeros_like(safe), np.log1p(ratio)  # of log(s / residual)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = middle < _log_resolvent(np.log(ratio) - middle, size)
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return residuals * np.exp(high)


def _log_resolvent(log_x: Numbers, size: int) -> Numbers:
    """Logarithm of phi(x), the smaller of the two bounds."""
    log_x = np.where(log_x == 0, np.finfo(np.float64).tiny, log_x)
    neumann = _log_abs_expm1(size * log_x) - _log_abs_expm1(log_x)
    others = max(size - 1, 1)
    product = (size - 1) / 2 * np.log1p((1 + np.exp(2 * log_x)) / others)
    return np.minimum(neumann, product)


def _log_abs_expm1(z: Numbers) -> Numbers:
    """Logarithm of |e^z - 1| without overflow."""
    return np.maximum(z, 0) + np.log(-np.expm1(-np.abs(z)))


def _eigenvalues(hessenberg: Float[np.ndarray, "active active"], residual: float):
    """Values by falling modulus, residuals h |s| and condition numbers."""
    values, left, right = cast(tuple, eig(hessenberg, left=True, right=True))
    order = np.lexsort((-np.imag(values), -np.real(values), -np.abs(values)))
    overlaps = np.abs(np.sum(left.conj() * right, axis=0))
    conditions = np.divide(1, overlaps, out=np.full_like(overlaps, np.inf), where=overlaps > 0)
    return values[order], residual * np.abs(right[-1, order]), conditions[order]


def spectral_radius_minus_one(*starts: ComplexRitzValues) -> SpectralRadius:
    """Whether repeated multiplication by I + N grows, from runs on N with `shift=1`.

    |1 + nu| - 1 = (2 Re nu + |nu|^2) / (|1 + nu| + 1), and moving nu by an error moves it by no
    more. One value beyond one proves a "yes". An error proves an eigenvalue near a value, not that
    this is the last one: a "no" needs independent starts, two at the least, that all converged and
    agree within their errors, or all eigenvalues. The outermost value of all starts is returned;
    the numbers are NaN if a value is.
    """
    excess = [_excess(ritz.values) for ritz in starts]
    tops = np.array([np.max(each) for each in excess])  # NaN if one is
    best = int(np.argmax(tops))  # the first NaN, if there is one
    outermost = int(np.argmax(excess[best]))
    complete = all(ritz.complete for ritz in starts)
    converged = len(starts) > 1 and all(ritz.converged for ritz in starts)

    def exceeds(kind: str) -> Verdict:
        errors = [getattr(ritz, kind) for ritz in starts]
        reach = [error[np.argmax(each)] for each, error in zip(excess, errors, strict=True)]
        bottom = max(np.max(each - error) for each, error in zip(excess, errors, strict=True))
        agree = all(tops[best] - tops <= reach[best] + np.array(reach))
        is_last = complete or (converged and agree)
        return verdict(float(bottom), float(tops[best] + reach[best]), is_last=is_last)

    return SpectralRadius(
        minus_one=float(tops[best]),
        error=float(starts[best].errors[outermost]),
        estimate=float(starts[best].estimates[outermost]),
        exceeds_one=exceeds("errors"),
        exceeds_one_to_first_order=exceeds("estimates"),
    )


def _excess(values: Complex[np.ndarray, " active"]) -> Numbers:
    """|1 + nu| - 1, without subtracting from near one."""
    return (2 * np.real(values) + np.abs(values) ** 2) / (np.abs(1 + values) + 1)
