"""Eigenpairs with errors, in float64 on the host, from a run of thick-restart Lanczos."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from hessdiag.spectra.checks import require_symmetric
from hessdiag.spectra.ritz import rounding_error
from hessdiag.spectra.thick_restart import Eigenpairs


@dataclasses.dataclass(frozen=True)
class RitzPairs:
    """Eigenpairs of one run, ascending, on the host.

    Attributes:
        values: Eigenvalue estimates; NaN where there is none.
        vectors: Their eigenvectors, one a row.
        errors: Some eigenvalue lies within this distance of each value.
        converged: Which met the tolerance of the run.
        settled: The run ended because all were found, not for want of products.
        matvecs: Products spent.
        orthogonality: Largest entry of |V V' - I|; beyond sqrt(eps) values may be counted twice.
        rounding: Error that rounding alone leaves in any value.
    """

    values: Float[np.ndarray, " num"]
    vectors: Float[np.ndarray, "num d"]
    errors: Float[np.ndarray, " num"]
    converged: Bool[np.ndarray, " num"]
    settled: bool
    matvecs: int
    orthogonality: float
    rounding: float


def ritz_pairs(pairs: Eigenpairs) -> RitzPairs:
    """Eigenpairs in float64 on the host, with the error of each value.

    The error is max(|A v - theta v|, rounding). Where only bounds of the residual are known,
    rounding counts once more for every restart, since each rotates the basis.

    Args:
        pairs: Result of `eigenpairs`, concrete.

    Returns:
        The pairs, ascending; NaN where the run found none or a product was not finite.

    Raises:
        NonSymmetricOperatorError: If the run measured more asymmetry than rounding.

    References:
        Parlett 1998, The Symmetric Eigenvalue Problem, section 4.5.
    """
    dtype = pairs.values.dtype
    require_symmetric(pairs.asymmetry, dtype)
    residuals, times = pairs.true_residuals, 1
    if residuals is None:
        residuals, times = pairs.residuals, 1 + int(pairs.restarts)
    rounding = times * rounding_error(np.array([pairs.scale], np.float64), dtype)
    return RitzPairs(
        values=np.asarray(pairs.values, np.float64),
        vectors=np.asarray(pairs.vectors, np.float64),
        errors=np.maximum(np.asarray(residuals, np.float64), rounding),
        converged=np.asarray(pairs.converged),
        settled=bool(pairs.settled),
        matvecs=int(pairs.matvecs),
        orthogonality=float(pairs.orthogonality),
        rounding=rounding,
    )
