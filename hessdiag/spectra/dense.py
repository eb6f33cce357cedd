"""The whole spectrum by LAPACK: oracle for Lanczos, and the better choice for small problems."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hessdiag.spectra.accuracy import rounding_error
from hessdiag.spectra.checks import require_symmetric
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.ritz import RitzValues

DENSE_LIMIT = 500
"""Size up to which the dense spectrum is to be preferred, which gives multiplicities, too.

Its d products come in batches, and take at d = 500 about as long as a few runs of Lanczos.
"""

_BATCH = 64  # products at a time, which bounds memory


def dense_matrix(operator: Operator) -> Float[Array, "d d"]:
    """Any operator as a matrix, by d products, as computed: not symmetrised. Works under jit."""
    identity = jnp.eye(operator.size, dtype=operator.dtype)
    return jax.lax.map(operator.product, identity, batch_size=_BATCH).T


def matrix_spectrum(matrix: Float[np.ndarray, "d d"], *, noise: float = -1.0) -> RitzValues:
    """Every eigenvalue of a symmetric `dense_matrix`, in the dtype of the products, by float64.

    The errors are those of `rounding_error`, and of the asymmetry that still passes for rounding:
    |A - A'| / 2 besides. All is NaN if an entry is not finite.

    Args:
        matrix: The dense matrix.
        noise: What a product rounds, relative to the norm, where that was measured: it is in the
            errors, and asymmetry that it explains is none. Negative where it was not.

    Raises:
        NonSymmetricOperatorError: If the matrix is not symmetric to within rounding or noise.
        NoisyOperatorError: If it is not, and products round so much that no digit is left.
    """
    size = len(matrix)
    wide = np.asarray(matrix, np.float64)
    finite = bool(np.isfinite(wide).all())
    if finite:
        defect = matrix_defect(wide)
        require_symmetric(defect, matrix.dtype, noise=noise)
        values = np.linalg.eigvalsh((wide + wide.T) / 2)
        skew = float(np.linalg.norm((wide - wide.T) / 2, 2))
    else:
        defect, values, skew = np.nan, np.full(size, np.nan), np.nan
    noise = max(noise, 0.0)
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
        asymmetry=defect,
        noise=noise,
        size=size,
        exact=True,
    )


def matrix_defect(matrix: Float[np.ndarray, "d d"]) -> float:
    """What `symmetry_defect` estimates, up to the chance of its two vectors."""
    length = float(np.linalg.norm(matrix)) or 1.0
    return float(np.linalg.norm(matrix - matrix.T)) / (2 * len(matrix) ** 0.5 * length)
