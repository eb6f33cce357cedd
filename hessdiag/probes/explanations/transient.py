"""E5: transient growth."""

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, Explanation, exact
from hessdiag.statistics.bootstrap import Interval


def transient(*, coherent: bool) -> Explanation:
    """E5: Σ_j ‖T^(i)·∂θ^(i)/∂g^(j)‖ / ‖T^(i)‖, or the root of squares, relative to one step.

    The augmented products with the optimiser's state, restricted to where ∂g/∂η enters and to the
    direction that T reads. NaN at horizons not measured.
    """

    def explain(evidence: Evidence) -> Interval | None:
        reach = evidence.reach
        if reach is None:
            return None
        totals = np.nansum(reach, axis=1) if coherent else np.sqrt(np.nansum(reach**2, axis=1))
        measured = np.isfinite(reach).any(axis=1)
        return exact(np.where(measured, totals / totals[0], np.nan))

    return explain
