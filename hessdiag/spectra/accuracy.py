"""What rounding leaves in eigenvalues: of products, of the host's solver, and of tiny numbers."""

from typing import Any

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

NOISE = 4.0
"""What products round at most, over what the product of one sum shows."""

_CHANCE = 3.0  # between the size of a random number and one of them
_HANDFUL, _FEW = 4, 12  # steps, whose asymmetry is of no pairs to speak of, and of few

ASYMMETRY = 3.0
"""Norm of what products of m Krylov vectors round, in units of sqrt(m) times an entry of it.

Random entries make 2 sqrt(m). Of chains of 30 factors, whose products round far more than eps, the
ends were off by 1.4 times what the entries that symmetry says are zero add up to.
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


def asymmetry_error(defect: Any, steps: Any) -> Any:
    """The error in units of |A| that goes with a measured asymmetry.

    It is the root of the sum of squares over those pairs of Krylov vectors of whose products T has
    nothing; entries of that size on the others, too, move eigenvalues by their norm.
    """
    pairs = (steps - 1) * (steps - 2) / 2
    magnified = ASYMMETRY * (steps / (pairs + (pairs < 1))) ** 0.5
    return defect * (1 + (magnified > 1) * (magnified - 1))


def noise_error(noise: float, steps: int) -> float:
    """The error in units of |A| that goes with what one product was seen to round.

    An operator on which a run ends after a few steps may be nearly of rank one: then that is one
    random number, which may be small by chance.
    """
    return NOISE * noise * (_CHANCE if steps <= _HANDFUL else 1.0)


def is_more_than_rounding(defect: Any, steps: Any, dtype: DTypeLike) -> Any:
    """Whether a measured asymmetry of few steps asks for a look at what products round.

    A handful of pairs may be small by chance; three and fewer say nothing. Arguments may be traced.
    """
    eps = float(np.finfo(dtype).eps)
    is_large = asymmetry_error(defect, steps) > ROUNDING / 4 * eps
    return (steps <= _HANDFUL) | ((steps <= _FEW) & is_large)


def least_number(dtype: DTypeLike) -> float:
    """What counts as zero where nothing sets a scale: its rounding would underflow."""
    number = np.finfo(dtype)
    return float(number.tiny / number.eps)


def least_error(dtype: DTypeLike) -> float:
    """The error where residuals and coefficients below twice the least number count as zero."""
    return 8 * least_number(dtype)
