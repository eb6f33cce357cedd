"""What is measured along one inner loop, step by step and operator by operator."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hessdiag.spectra.complex_ritz import ComplexRitzValues, SpectralRadius
from hessdiag.spectra.density import MassSplit
from hessdiag.spectra.gram import NormMinusOne
from hessdiag.spectra.normality import Departure
from hessdiag.spectra.ritz import Extremes, RitzValues, ShiftedExtremes


@dataclass(frozen=True)
class HessianSpectrum:
    """The Hessian of the inner loss at one inner step; the last three need a learning rate."""

    runs: list[RitzValues]  # of every start, or the dense spectrum
    ends: Extremes
    symmetry_defect: float
    size: int  # number of parameters
    alpha: float | None  # learning rate of the step
    shifted: ShiftedExtremes | None  # ends of I + H = I - alpha Hessian, minus one
    masses: MassSplit | None  # where the eigenvalues of H lie


@dataclass(frozen=True)
class OperatorSpectrum:
    """A non-symmetric operator I + N at one inner step, in balanced coordinates."""

    ritz: ComplexRitzValues  # eigenvalue estimates of N
    radius: SpectralRadius  # of I + N, minus one
    departure: Departure  # from normality, and the norm of the balanced N


@dataclass(frozen=True)
class ProductNorm:
    """Norm of a product over the last inner steps, as a map of the parameters."""

    norm: NormMinusOne
    matvecs: int  # products with P'P spent; none where the norm is known from another operator
    converged: bool


@dataclass(frozen=True)
class PathNorm:
    """Norm of the derivative of the last theta in one inner gradient."""

    value: float  # the largest singular value
    error: float  # some singular value lies within it
    matvecs: int  # products spent, and as many transposed ones
    converged: bool


@dataclass(frozen=True)
class EdgeDistance:
    """How far the first inner step is from the optimiser's edge of stability (`inner.edge`)."""

    limit: float  # the edge; NaN where the optimiser has none that is known
    sharpness: float  # highest eigenvalue of the preconditioned Hessian times the learning rate
    error: float  # some eigenvalue lies within it
    along_gradient: float  # alpha g'Hg / g'g, of the step's own batch
    matvecs: int  # products spent

    @property
    def share(self) -> float:
        """Of the edge."""
        return self.sharpness / self.limit

    @property
    def share_error(self) -> float:
        """Of the share."""
        return self.error / self.limit


@dataclass(frozen=True)
class InnerLoopSpectra:
    """All that was measured along one inner loop of n steps."""

    hessians: list[HessianSpectrum]  # per inner step
    operators: dict[str, list[OperatorSpectrum]]  # by name, per inner step
    products: dict[str, list[ProductNorm]]
    """By name of the operator, the norms of P_1 .. P_n, of which P_i is the product over the last
    i - 1 inner steps (Bonnet et al. 2021, eq. 11); P_1 is the identity."""
    paths: list[PathNorm]  # per inner step; empty where they were not wanted
    losses: Float[np.ndarray, " n"]  # per inner step
    edge: EdgeDistance | None = None
