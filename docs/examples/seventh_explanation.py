"""A seventh explanation of the growth: the optimiser's memory on top of real products of I + H."""

import numpy as np

from hessdiag.probes.explanations import Evidence
from hessdiag.statistics import Interval


def memory_on_products(evidence: Evidence) -> Interval | None:
    """Σ_k ‖P_k‖ (1 − β₁^k) / (1 − β₁), E2 and E4 in one; the interval spans the unrolls."""
    norms = evidence.product_norms.get("paper")
    if norms is None or evidence.memory is None:
        return None
    gains = np.cumsum(evidence.memory ** np.arange(evidence.n))
    sums = np.cumsum(norms * gains, axis=1)
    return Interval(sums.mean(axis=0), sums.min(axis=0), sums.max(axis=0))


memory_on_products.label = "E7 memory on products"
