"""Eigenvalues with errors and multiplicities, in float64 on the host, from block Lanczos."""

import numpy as np

from hessdiag.spectra.block_lanczos import BlockDecomposition
from hessdiag.spectra.checks import require_symmetric
from hessdiag.spectra.ritz import RitzValues, rounding_error


def block_ritz_values(decomposition: BlockDecomposition) -> RitzValues:
    """Eigenvalues of the active part of T, with multiplicity and with the error of each.

    The error is that of `ritz_values`: the residual bound |C' s| + dropped' |s|, but never less
    than rounding. An eigenvalue is listed as often as the starts show it, at most b times.

    The weight of a value is the mean over the orthonormalised starts q_1 ... q_b of its squared
    overlap with q_i, so that (1 / b) sum_i q_i' f(A) q_i is the weighted mean of f. For Gaussian
    starts its expectation is tr f(A) / d, as for the mean of b single runs, but with less variance.

    Args:
        decomposition: One run, concrete.

    Returns:
        The values in ascending order; all NaN if T is not finite.

    Raises:
        NonSymmetricOperatorError: If the run measured more asymmetry than rounding.

    References:
        Parlett 1998, The Symmetric Eigenvalue Problem, section 13.10.
    """
    dtype = decomposition.projected.dtype
    require_symmetric(decomposition.asymmetry, dtype)
    active = int(decomposition.active)
    projected = np.asarray(decomposition.projected, np.float64)[:active, :active]
    outside = np.asarray(decomposition.outside, np.float64)[:active]
    dropped = np.asarray(decomposition.dropped, np.float64)[:active]
    if np.isfinite(projected).all() and np.isfinite(outside).all():
        values, vectors = np.linalg.eigh(projected)
        weights = np.mean(vectors[: int(decomposition.starts)] ** 2, axis=0)
        residuals = np.linalg.norm(outside.T @ vectors, axis=0) + dropped @ np.abs(vectors)
    else:
        values = weights = residuals = np.full(active, np.nan)
    rounding = rounding_error(values, dtype)
    return RitzValues(
        values=values,
        weights=weights,
        errors=np.maximum(residuals, rounding),
        matvecs=active,
        converged=bool(decomposition.converged),
        orthogonality=float(decomposition.orthogonality),
        rounding=rounding,
        asymmetry=float(decomposition.asymmetry),
    )
