"""What is measured along one inner loop, step by step and operator by operator."""

from dataclasses import dataclass

from hessdiag.spectra.complex_ritz import ComplexRitzValues, SpectralRadius
from hessdiag.spectra.density import MassSplit
from hessdiag.spectra.gram import NormMinusOne
from hessdiag.spectra.normality import Departure
from hessdiag.spectra.ritz import Extremes, RitzValues, ShiftedExtremes


@dataclass(frozen=True)
class HessianSpectrum:
    """The Hessian of the inner loss at one inner step.

    Attributes:
        runs: Ritz values of every start, or the dense spectrum.
        ends: Extremes.
        symmetry_defect: Measured asymmetry.
        size: Number of parameters.
        alpha: Learning rate of the step; None if it has none.
        shifted: Extremes of I + H = I - alpha Hessian, minus one; None without a learning rate.
        masses: Where the eigenvalues of H lie; None without a learning rate.
    """

    runs: list[RitzValues]
    ends: Extremes
    symmetry_defect: float
    size: int
    alpha: float | None
    shifted: ShiftedExtremes | None
    masses: MassSplit | None


@dataclass(frozen=True)
class OperatorSpectrum:
    """A non-symmetric operator I + N at one inner step, in balanced coordinates.

    Attributes:
        ritz: Eigenvalue estimates of N.
        radius: Spectral radius of I + N, minus one.
        departure: Departure from normality and norm of the balanced N.
    """

    ritz: ComplexRitzValues
    radius: SpectralRadius
    departure: Departure


@dataclass(frozen=True)
class ProductNorm:
    """Norm of a product over the last inner steps, as a map of the parameters.

    Attributes:
        norm: |P| - 1.
        matvecs: Products with P'P spent; none where the norm is known from another operator.
        converged: Whether the tolerance was met.
    """

    norm: NormMinusOne
    matvecs: int
    converged: bool


@dataclass(frozen=True)
class PathNorm:
    """Norm of the derivative of the last theta in one inner gradient.

    Attributes:
        value: The largest singular value.
        error: Some singular value lies within it.
        matvecs: Products spent, and as many transposed ones.
        converged: Whether the tolerance was met.
    """

    value: float
    error: float
    matvecs: int
    converged: bool


@dataclass(frozen=True)
class InnerLoopSpectra:
    """All that was measured along one inner loop of n steps.

    Attributes:
        hessians: Per inner step.
        operators: By name, per inner step.
        products: By name of the operator, the norms of P_1 .. P_n, of which P_i is the product over
            the last i - 1 inner steps (Bonnet et al. 2021, eq. 11); P_1 is the identity.
        paths: Per inner step; empty where they were not wanted.
    """

    hessians: list[HessianSpectrum]
    operators: dict[str, list[OperatorSpectrum]]
    products: dict[str, list[ProductNorm]]
    paths: list[PathNorm]
