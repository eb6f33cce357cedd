"""Matrix-free spectra of symmetric and other operators, every number with its error."""

from hessdiag.spectra.arnoldi import arnoldi
from hessdiag.spectra.balancing import balanced, balancing_scale
from hessdiag.spectra.checks import (
    NoisyOperatorError,
    NonSymmetricOperatorError,
    repeat_check,
    repeats,
    symmetry_defect,
    transpose_defect,
)
from hessdiag.spectra.chunked import chunked, chunked_operator
from hessdiag.spectra.complex_ritz import complex_ritz_values, spectral_radius_minus_one
from hessdiag.spectra.curvature import (
    empirical_fisher,
    gauss_newton,
    gradient_jacobian,
    hessian,
    linearise,
)
from hessdiag.spectra.dense import DENSE_LIMIT, dense_matrix, matrix_spectrum
from hessdiag.spectra.density import cumulative, density, grid, mass, mass_split, moment
from hessdiag.spectra.eigenpairs import Eigenpairs, eigenpairs
from hessdiag.spectra.gram import gram, gram_minus_identity, norm_minus_one, operator_norm
from hessdiag.spectra.krylov import one_lapack_thread
from hessdiag.spectra.lanczos import LanczosDecomposition, end_vector, lanczos, ritz_vectors
from hessdiag.spectra.normality import departure_from_normality
from hessdiag.spectra.operators import (
    NotTransposableError,
    Operator,
    diagonal,
    identity_plus,
    linear,
    symmetric,
)
from hessdiag.spectra.ritz import (
    Extremes,
    RitzValues,
    extremes,
    padded,
    ritz_values,
    ritz_values_per_start,
    shifted,
)
from hessdiag.spectra.rounding import moved, rounding_unit
from hessdiag.spectra.spaces import Space
from hessdiag.spectra.trace import TraceEstimate, sketched_trace

__all__ = [
    "DENSE_LIMIT", "Eigenpairs", "Extremes", "LanczosDecomposition",
    "NoisyOperatorError", "NonSymmetricOperatorError", "NotTransposableError", "Operator",
    "RitzValues", "Space", "TraceEstimate", "arnoldi", "balanced", "balancing_scale", "chunked",
    "chunked_operator", "complex_ritz_values", "cumulative", "dense_matrix", "density",
    "departure_from_normality", "diagonal", "eigenpairs", "empirical_fisher", "end_vector",
    "extremes", "gauss_newton", "gradient_jacobian", "gram", "gram_minus_identity", "grid",
    "hessian", "identity_plus", "lanczos", "linear", "linearise", "mass", "mass_split",
    "matrix_spectrum", "moment", "moved", "norm_minus_one", "one_lapack_thread", "operator_norm",
    "padded", "repeat_check", "repeats", "ritz_values", "ritz_values_per_start", "ritz_vectors",
    "rounding_unit", "shifted", "sketched_trace", "spectral_radius_minus_one", "symmetric",
    "symmetry_defect", "transpose_defect",
]  # fmt: skip
