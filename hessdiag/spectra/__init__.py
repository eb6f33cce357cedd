"""Spectra of symmetric matrix-free operators, every number with its error."""

from hessdiag.spectra.dense import DENSE_LIMIT, dense_matrix, dense_spectrum, matrix_spectrum
from hessdiag.spectra.density import (
    MassSplit,
    cumulative,
    density,
    grid,
    mass,
    mass_split,
    moment,
)
from hessdiag.spectra.lanczos import LanczosDecomposition, lanczos
from hessdiag.spectra.operators import (
    NonSymmetricOperatorError,
    Operator,
    hessian,
    require_symmetric,
    symmetry_defect,
)
from hessdiag.spectra.ritz import (
    Extremes,
    RitzValues,
    ShiftedExtremes,
    extremes,
    ritz_values,
    ritz_values_per_start,
    shifted,
)

__all__ = [
    "DENSE_LIMIT",
    "Extremes",
    "LanczosDecomposition",
    "MassSplit",
    "NonSymmetricOperatorError",
    "Operator",
    "RitzValues",
    "ShiftedExtremes",
    "cumulative",
    "dense_matrix",
    "dense_spectrum",
    "density",
    "extremes",
    "grid",
    "hessian",
    "lanczos",
    "mass",
    "mass_split",
    "matrix_spectrum",
    "moment",
    "require_symmetric",
    "ritz_values",
    "ritz_values_per_start",
    "shifted",
    "symmetry_defect",
]
