"""E4: the optimiser's first-moment memory."""

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, exact
from hessdiag.statistics.bootstrap import Interval


def memory_coherent(evidence: Evidence) -> Interval | None:
    """E4 with aligned terms: Σ_k (1 − β₁^k) / (1 − β₁)."""
    gains = _memory_gains(evidence)
    return None if gains is None else exact(np.cumsum(gains))


def memory_incoherent(evidence: Evidence) -> Interval | None:
    """E4 with independent terms: the root of Σ_k (1 − β₁^k)² / (1 − β₁)²."""
    gains = _memory_gains(evidence)
    return None if gains is None else exact(np.sqrt(np.cumsum(gains**2)))


def _memory_gains(evidence: Evidence) -> np.ndarray | None:
    """Response of θ^(i) to a perturbation of the gradient k updates ago, relative to k = 1.

    A gradient enters the first moment with weight 1 − β₁ and decays by β₁ per update, so that
    after k updates it has moved θ by 1 − β₁^k times its unit step.
    """
    if evidence.memory is None:
        return None
    k = np.arange(1, evidence.n + 1)
    return (1.0 - evidence.memory**k) / (1.0 - evidence.memory)
