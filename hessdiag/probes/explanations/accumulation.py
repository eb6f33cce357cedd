"""E3: terms that add up."""

import numpy as np

from hessdiag.probes.explanations.evidence import Explanation, exact


def accumulation(*, coherent: bool) -> Explanation:
    """E3: every product is the identity; n aligned terms add up to n, independent ones to √n."""
    return lambda evidence: exact(added_up(np.ones(evidence.n), coherent))


def added_up(gains: np.ndarray, coherent: bool) -> np.ndarray:
    """What the first i = 1 … n terms add up to, by their gains: aligned, or independent."""
    return np.cumsum(gains) if coherent else np.sqrt(np.cumsum(gains**2))
