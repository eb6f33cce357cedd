"""What rounding leaves in eigenvalues: of products, of the host's solver, and of tiny numbers."""

import numpy as np
from jaxtyping import DTypeLike, Float

ROUNDING = 16.0
"""Error that the products' rounding leaves in any eigenvalue, in units of eps |A|.

Residual bounds shrink far below it and are then untrue. The largest error met in float32, on dense
and low-rank matrices with d = 60 to 25000, was 10 eps |A| (rank 12, d = 2000, the XLA of JAX 0.12).
In float64 two ways of forming one Hessian differed by 6 eps |A|.
"""

SOLVER_ROUNDING = 4.0
"""Error of the host's eigensolver, in units of sqrt(size) eps |A| in float64.

LAPACK was met with 1.4 sqrt(size) on exactly known matrices (Hadamard eigenvectors) of size 64 to
512. It matters only when the products, too, are in float64.
"""


def rounding_error(values: Float[np.ndarray, " size"], dtype: DTypeLike) -> float:
    """Absolute error that rounding leaves in the eigenvalues of a matrix that the host solved.

    The dtype is that of the products. NaN if a value is.
    """
    return backward_error(float(np.max(np.abs(values))), len(values), dtype, SOLVER_ROUNDING)


def backward_error(norm: float, size: int, dtype: DTypeLike, solver_rounding: float) -> float:
    """How far the matrix of which the host's numbers are true is from A at most, by rounding.

    The norm is |A|, the size that of the matrix that the host solved, the dtype that of the
    products, and the host's backward error in units of sqrt(size) eps |A| in float64.
    """
    products = ROUNDING * float(np.finfo(dtype).eps)
    solver = solver_rounding * np.sqrt(size) * float(np.finfo(np.float64).eps)
    return float((products + solver) * norm)


def least_number(dtype: DTypeLike) -> float:
    """What counts as zero where nothing sets a scale: its rounding would underflow."""
    number = np.finfo(dtype)
    return float(number.tiny / number.eps)


def least_error(dtype: DTypeLike) -> float:
    """The error where residuals and coefficients below twice the least number count as zero."""
    return 8 * least_number(dtype)
