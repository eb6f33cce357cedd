"""E5: transient growth of the augmented products."""

from collections.abc import Callable

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, exact
from hessdiag.statistics.bootstrap import Interval


def transient_coherent(evidence: Evidence) -> Interval | None:
    """E5 with aligned terms: Σ_j ‖T^(i)·∂θ^(i)/∂g^(j)‖/‖T^(i)‖, relative to one step.

    The augmented products with the optimiser's state, restricted to where ∂g/∂η enters and to the
    direction that T reads.
    """
    return _relative(evidence.reach, lambda reach: np.nansum(reach, axis=1))


def transient_incoherent(evidence: Evidence) -> Interval | None:
    """E5 with independent terms: the root of the sum of squares."""
    return _relative(evidence.reach, lambda reach: np.sqrt(np.nansum(reach**2, axis=1)))


def _relative(
    reach: np.ndarray | None, total: Callable[[np.ndarray], np.ndarray]
) -> Interval | None:
    """A total over terms, relative to one step; NaN at horizons not measured."""
    if reach is None:
        return None
    measured = np.isfinite(reach).any(axis=1)
    totals = total(reach)
    return exact(np.where(measured, totals / totals[0], np.nan))
