"""Matrix-free spectra of symmetric and other operators, every number with its error.

Operators of an inner loop come from `inner_step`, their products from `product_over_steps`.
"""

from hessdiag.spectra.arnoldi import ArnoldiDecomposition, arnoldi
from hessdiag.spectra.balancing import balanced, balancing_scale
from hessdiag.spectra.block_lanczos import BlockDecomposition, block_lanczos
from hessdiag.spectra.block_ritz import block_ritz_values
from hessdiag.spectra.checks import (
    NonSymmetricOperatorError,
    repeat_check,
    repeats,
    require_declared_symmetric,
    require_symmetric,
    symmetry_defect,
    transpose_defect,
)
from hessdiag.spectra.chunked import chunked, chunked_operator
from hessdiag.spectra.complex_ritz import (
    ComplexRitzValues,
    complex_ritz_values,
    eigenvalue_distance,
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
from hessdiag.spectra.fisher import empirical_fisher
from hessdiag.spectra.gauss_newton import gauss_newton
from hessdiag.spectra.golub_kahan import Bidiagonalisation, golub_kahan
from hessdiag.spectra.lanczos import LanczosDecomposition, end_vector, lanczos, ritz_vectors
from hessdiag.spectra.lapack_threads import one_lapack_thread
from hessdiag.spectra.linearise import linearise
from hessdiag.spectra.mass_bounds import cumulative_bounds, mass_bounds
from hessdiag.spectra.normality import (
    Departure,
    NormMinusOne,
    departure_from_normality,
    gram_minus_identity,
    norm_minus_one,
    symmetric_part,
)
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
    ShiftedExtremes,
    extremes,
    ritz_values,
    ritz_values_per_start,
    shifted,
)
from hessdiag.spectra.ritz_pairs import RitzPairs, ritz_pairs
from hessdiag.spectra.singular_values import (
    SingularValues,
    WrongTransposeError,
    singular_values,
)
from hessdiag.spectra.spaces import Space
from hessdiag.spectra.spectral_radius import SpectralRadius, spectral_radius_minus_one
from hessdiag.spectra.streamed import streamed
from hessdiag.spectra.thick_restart import Eigenpairs, eigenpairs, roomy_basis
from hessdiag.spectra.trace import TraceEstimate, hutch_plus_plus, hutchinson, xtrace
from hessdiag.spectra.variables import Variables, padded

__all__ = [
    "DENSE_LIMIT",
    "ArnoldiDecomposition",
    "Bidiagonalisation",
    "BlockDecomposition",
    "ComplexRitzValues",
    "Departure",
    "Eigenpairs",
    "Extremes",
    "LanczosDecomposition",
    "MassSplit",
    "NonSymmetricOperatorError",
    "NormMinusOne",
    "NotTransposableError",
    "Operator",
    "RitzPairs",
    "RitzValues",
    "ShiftedExtremes",
    "SingularValues",
    "Space",
    "SpectralRadius",
    "TraceEstimate",
    "Variables",
    "WrongTransposeError",
    "arnoldi",
    "balanced",
    "balancing_scale",
    "block_lanczos",
    "block_ritz_values",
    "chunked",
    "chunked_operator",
    "complex_ritz_values",
    "cumulative",
    "cumulative_bounds",
    "dense_matrix",
    "dense_spectrum",
    "density",
    "departure_from_normality",
    "diagonal",
    "eigenpairs",
    "eigenvalue_distance",
    "empirical_fisher",
    "end_vector",
    "extremes",
    "gauss_newton",
    "golub_kahan",
    "gradient_jacobian",
    "gram_minus_identity",
    "grid",
    "hessian",
    "hutch_plus_plus",
    "hutchinson",
    "identity_plus",
    "lanczos",
    "linear",
    "linearise",
    "mass",
    "mass_bounds",
    "mass_split",
    "matrix_spectrum",
    "moment",
    "norm_minus_one",
    "one_lapack_thread",
    "padded",
    "repeat_check",
    "repeats",
    "require_declared_symmetric",
    "require_symmetric",
    "ritz_pairs",
    "ritz_values",
    "ritz_values_per_start",
    "ritz_vectors",
    "roomy_basis",
    "shifted",
    "singular_values",
    "spectral_radius_minus_one",
    "streamed",
    "symmetric",
    "symmetric_part",
    "symmetry_defect",
    "transpose_defect",
    "xtrace",
]
