"""Matrix-free spectra of symmetric and other operators, every number with its error."""

from hessdiag.spectra.checks import (
    NonSymmetricOperatorError,
    repeats,
    require_symmetric,
    symmetry_defect,
    transpose_defect,
)
from hessdiag.spectra.curvature import gradient_jacobian, hessian
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
from hessdiag.spectra.inner_step import InnerStep, inner_step
from hessdiag.spectra.lanczos import LanczosDecomposition, lanczos
from hessdiag.spectra.operators import (
    NotTransposableError,
    Operator,
    Space,
    diagonal,
    identity_plus,
    linear,
    symmetric,
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
    "InnerStep",
    "LanczosDecomposition",
    "MassSplit",
    "NonSymmetricOperatorError",
    "NotTransposableError",
    "Operator",
    "RitzValues",
    "ShiftedExtremes",
    "Space",
    "cumulative",
    "dense_matrix",
    "dense_spectrum",
    "density",
    "diagonal",
    "extremes",
    "gradient_jacobian",
    "grid",
    "hessian",
    "identity_plus",
    "inner_step",
    "lanczos",
    "linear",
    "mass",
    "mass_split",
    "matrix_spectrum",
    "moment",
    "repeats",
    "require_symmetric",
    "ritz_values",
    "ritz_values_per_start",
    "shifted",
    "symmetric",
    "symmetry_defect",
    "transpose_defect",
]
