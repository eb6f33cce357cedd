"""The whole spectrum by LAPACK: oracle for Lanczos, and the better choice for small problems."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hessdiag.spectra.checks import require_symmetric
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.ritz import SENSITIVITY, RitzValues, rounding_error

DENSE_LIMIT = 500
"""Size up to which the dense spectrum is to be preferred, which gives multiplicities, too.

Its d products come in batches, and take at d = 500 about as long as a few runs of Lanczos.
"""

_BATCH = 64  # products at a time, which bounds memory


def dense_matrix(operator: Operator) -> Float[Array, "d d"]:
    """Any operator as a matrix, by d products, as computed: not symmetrised. Works under jit."""
    identity = jnp.eye(operator.size, dtype=operator.dtype)
    return jax.lax.map(operator.product, identity, batch_size=_BATCH).T


def matrix_spectrum(
    matrix: Float[np.ndarray, "d d"], *, nearby: Sequence[Float[np.ndarray, "d d"]] = ()
) -> RitzValues:
    """Every eigenvalue of a symmetric `dense_matrix`, in the dtype of the products, by float64.

    The errors are those of `rounding_error`, and of the asymmetry that still passes for rounding:
    |A - A'| / 2 besides. All is NaN if an entry is not finite.

    Args:
        matrix: The dense matrix.
        nearby: The same matrix made of numbers that are moved by their rounding (`moved`): what
            that does to the eigenvectors at both ends is in the errors, `SENSITIVITY` times. Their
            products are not counted.

    Raises:
        NonSymmetricOperatorError: If the matrix is not symmetric to within rounding, and `nearby`
            ones are no further from it than that.
        NoisyOperatorError: If it is not, and they are so far from it that no digit is left.
    """
    size = len(matrix)
    wide = np.asarray(matrix, np.float64)
    finite = bool(np.isfinite(wide).all())
    if finite:
        # What `symmetry_defect` estimates, up to the chance of its two vectors.
        defect = np.linalg.norm(wide - wide.T) / (2 * np.sqrt(size) * (np.linalg.norm(wide) or 1))
        values, vectors = np.linalg.eigh((wide + wide.T) / 2)
        skew = float(np.linalg.norm((wide - wide.T) / 2, 2))
        noise = _sensitivity(wide, nearby, vectors[:, [0, -1]]) / (np.max(np.abs(values)) or 1)
        require_symmetric(float(defect), matrix.dtype, noise=noise)
    else:
        defect, values, skew, noise = np.nan, np.full(size, np.nan), np.nan, 0.0
    rounding = rounding_error(values, matrix.dtype) + skew
    rounding = float(np.maximum(rounding, noise * np.max(np.abs(values))))
    return RitzValues(
        values=values,
        weights=np.full(size, 1 / size),
        errors=np.full(size, rounding),
        matvecs=size,
        converged=finite,
        orthogonality=0.0,
        rounding=rounding,
        asymmetry=float(defect),
        noise=noise,
        size=size,
        exact=True,
    )


def _sensitivity(matrix, nearby, vectors: Float[np.ndarray, "d ends"]) -> float:
    """Error of an eigenvalue by what the matrices nearby make of these vectors."""
    moves = [np.linalg.norm((other - matrix) @ vectors, axis=0).max() for other in nearby]
    return SENSITIVITY * float(max(moves, default=0.0))
