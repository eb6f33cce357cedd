"""Norms of operators by the spectra of their Gram operators, which are symmetric."""

import dataclasses

import numpy as np

from hessdiag.spectra.operators import Operator, composed_shift
from hessdiag.spectra.ritz import Extremes, RitzValues, Verdict, verdict


@dataclasses.dataclass(frozen=True)
class NormMinusOne:
    """Norm of I + N, minus one."""

    minus_one: float  # the largest singular value minus one
    error: float  # I + N has a singular value within it
    exceeds_one: Verdict  # "undecided" if the interval covers one or is NaN, or none can say "no"


def gram(operator: Operator) -> Operator:
    """A'A, whose eigenvalues are the squares of the singular values of A, which has a transpose."""
    transpose, domain = operator.T, operator.domain

    def product(v):
        return transpose.product(operator.product(v))

    return Operator(product, None, domain, domain, is_symmetric=True)


def gram_minus_identity(operator: Operator) -> Operator:
    """A'A - I = N + N' + N'N for A = I + N, without forming A.

    Its eigenvalues are sigma^2 - 1 for the singular values sigma of A; `norm_minus_one` takes the
    ends of its spectrum. A product costs one of N and one of N'.

    Raises:
        ValueError: If the operator does not know its N, which `identity_plus` gives it.
    """
    shift = operator.minus_identity
    if shift is None:
        raise ValueError("this operator is not of the form I + N; make it by `identity_plus`")
    return dataclasses.replace(composed_shift(shift.T, shift), is_symmetric=True)


def operator_norm(ends: Extremes) -> tuple[float, float]:
    """Norm of A and its error, from the upper end of the spectrum of `gram`."""
    square = max(ends.highest, 0.0)
    return float(np.sqrt(square)), _error_of_root(square, ends.highest_error)


def norm_minus_one(ends: Extremes) -> NormMinusOne:
    """Norm of A = I + N minus one, from the upper end of the spectrum of `gram_minus_identity`.

    With s = sigma^2 - 1 it is s / (1 + sqrt(1 + s)), where nothing cancels. The interval of s is
    carried over end by end; s < -1 is impossible, and cut off. NaN if the end is. That the norm
    does not exceed one is said only where all starts, two at the least, converged and agree.
    """
    s, error = max(ends.highest, -1.0), ends.highest_error
    return NormMinusOne(
        minus_one=float(s / (1 + np.sqrt(1 + s))),
        error=_error_of_root(1 + s, error),
        exceeds_one=verdict(s - error, s + error, is_last=ends.are_last),
    )


def with_noise(run: RitzValues, noise: float) -> RitzValues:
    """A run on A'A - I whose products of A were seen to be so far from those of A."""
    root = np.sqrt(1 + np.maximum(run.values, -1.0))
    return dataclasses.replace(run, errors=run.errors + 2 * root * noise + noise**2)


def _error_of_root(square: float, error: float) -> float:
    """How far the root of a number within `error` of `square` can be from that of `square`."""
    root, below = np.sqrt(square), min(error, square)
    drop = below / (root + np.sqrt(square - below)) if below else 0.0
    rise = error / (root + np.sqrt(square + error)) if error else 0.0
    return float(max(drop, rise))
