"""E2: products."""

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, Explanation
from hessdiag.statistics.bootstrap import Interval


def product_norms(operator: str) -> Explanation:
    """E2: Σ_{k≤i} ‖P_k‖, real products instead of radii; the interval spans the unrolls.

    The P_k are over the last inner steps of the whole unroll, those of the longest horizon i = n.
    At shorter ones, whose products end earlier, they stand for them: an approximation of ours, good
    where curvature changes little within an unroll.
    """

    def explain(evidence: Evidence) -> Interval | None:
        norms = evidence.product_norms.get(operator)
        if norms is None or not norms.size:
            return None
        sums = np.cumsum(norms, axis=1)
        return Interval(sums.mean(axis=0), sums.min(axis=0), sums.max(axis=0))

    return explain
