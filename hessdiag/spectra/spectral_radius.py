"""Spectral radius of I + N as its distance from one, from eigenvalues of N."""

import dataclasses

import numpy as np
from jaxtyping import Float

from hessdiag.spectra.complex_ritz import ComplexRitzValues
from hessdiag.spectra.ritz import Verdict, verdict


@dataclasses.dataclass(frozen=True)
class SpectralRadius:
    """Spectral radius of I + N, minus one.

    Attributes:
        minus_one: Largest |1 + nu| - 1 of all values nu; nothing was subtracted from a number
            near one.
        error: Its error: I + N has an eigenvalue whose modulus is within it.
        estimate: Its first-order error, no bound.
        exceeds_one: Whether the radius exceeds one, "undecided" if its interval covers one or is
            NaN.
        exceeds_one_to_first_order: The same by `estimate`.
    """

    minus_one: float
    error: float
    estimate: float
    exceeds_one: Verdict
    exceeds_one_to_first_order: Verdict


def spectral_radius_minus_one(ritz: ComplexRitzValues) -> SpectralRadius:
    """Whether repeated multiplication by I + N grows, from a run on N with `shift=1`.

    |1 + nu| - 1 = (2 Re nu + |nu|^2) / (|1 + nu| + 1), and moving nu by an error moves it by no
    more. One value beyond one proves a "yes". A "no" rests, as for the ends of a symmetric
    spectrum, on the run having found the outermost eigenvalue: its error proves an eigenvalue near
    the value, not that this is the last one.

    Args:
        ritz: Eigenvalue estimates of N.

    Returns:
        The distance from one with its errors, NaN if a value is.
    """
    values = ritz.values
    excess = (2 * np.real(values) + np.abs(values) ** 2) / (np.abs(1 + values) + 1)
    outermost = int(np.argmax(excess))  # the first NaN, if there is one
    return SpectralRadius(
        minus_one=float(excess[outermost]),
        error=float(ritz.errors[outermost]),
        estimate=float(ritz.estimates[outermost]),
        exceeds_one=_verdict(excess, ritz.errors, outermost),
        exceeds_one_to_first_order=_verdict(excess, ritz.estimates, outermost),
    )


def _verdict(
    excess: Float[np.ndarray, " active"], errors: Float[np.ndarray, " active"], outermost: int
) -> Verdict:
    return verdict(float(np.max(excess - errors)), float(excess[outermost] + errors[outermost]))
