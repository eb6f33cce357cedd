"""Norms of operators by the spectra of their Gram operators, which are symmetric."""

import dataclasses

import numpy as np

from hessdiag.spectra.operators import Operator
from hessdiag.spectra.ritz import Extremes, Verdict, verdict


@dataclasses.dataclass(frozen=True)
class NormMinusOne:
    """Norm of I + N, minus one.

    Attributes:
        minus_one: The largest singular value minus one.
        error: Its error: I + N has a singular value within it.
        exceeds_one: Whether the norm exceeds one, "undecided" if its interval covers one or is NaN.
    """

    minus_one: float
    error: float
    exceeds_one: Verdict


def gram(operator: Operator) -> Operator:
    """A'A, whose eigenvalues are the squares of the singular values of A.

    Args:
        operator: Any map A with a transpose.

    Returns:
        The symmetric operator; a product costs one of A and one of A'.

    Raises:
        NotTransposableError: If A has no transpose.
    """
    transpose = operator.T
    return Operator(
        lambda v: transpose.product(operator.product(v)),
        None,
        operator.domain,
        operator.domain,
        is_symmetric=True,
    )


def gram_minus_identity(operator: Operator) -> Operator:
    """A'A - I = N + N' + N'N for A = I + N, without forming A.

    Its eigenvalues are sigma^2 - 1 for the singular values sigma of A; `norm_minus_one` takes the
    ends of its spectrum.

    Args:
        operator: A map made by `identity_plus`, or composed of such, with a transpose.

    Returns:
        The symmetric operator; a product costs one of N and one of N'.

    Raises:
        ValueError: If the operator does not know its N.
        NotTransposableError: If it has no transpose.
    """
    shift = operator.minus_identity
    if shift is None:
        raise ValueError("this operator is not of the form I + N; make it by `identity_plus`")
    transpose = shift.T

    def product(v):
        change = shift.product(v)
        return change + transpose.product(v + change)

    return Operator(product, None, operator.domain, operator.domain, is_symmetric=True)


def operator_norm(ends: Extremes) -> tuple[float, float]:
    """Norm of A and its error, from the ends of the spectrum of `gram`.

    Args:
        ends: Of which the upper one counts.
    """
    square = max(ends.highest, 0.0)
    return float(np.sqrt(square)), _error_of_root(square, ends.highest_error)


def norm_minus_one(ends: Extremes) -> NormMinusOne:
    """Norm of A = I + N minus one, from the ends of the spectrum of `gram_minus_identity`.

    With s = sigma^2 - 1 it is s / (1 + sqrt(1 + s)), where nothing cancels. The interval of s is
    carried over end by end; s < -1 is impossible, and cut off.

    Args:
        ends: Of which the upper one counts.

    Returns:
        The distance from one with its error, NaN if the ends are.
    """
    s, error = max(ends.highest, -1.0), ends.highest_error
    return NormMinusOne(
        minus_one=float(s / (1 + np.sqrt(1 + s))),
        error=_error_of_root(1 + s, error),
        exceeds_one=verdict(s - error, s + error),
    )


def _error_of_root(square: float, error: float) -> float:
    """How far the root of a number within `error` of `square` can be from that of `square`."""
    root, below = np.sqrt(square), min(error, square)
    drop = below / (root + np.sqrt(square - below)) if below else 0.0
    rise = error / (root + np.sqrt(square + error)) if error else 0.0
    return float(max(drop, rise))
