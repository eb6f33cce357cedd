"""E3: mere accumulation of the terms, every product the identity."""

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, exact
from hessdiag.statistics.bootstrap import Interval


def accumulation_coherent(evidence: Evidence) -> Interval:
    """E3 with aligned terms: every product is the identity, n terms add up to n."""
    return exact(np.arange(1.0, evidence.n + 1))


def accumulation_incoherent(evidence: Evidence) -> Interval:
    """E3 with independent terms: n terms add up to √n."""
    return exact(np.sqrt(np.arange(1.0, evidence.n + 1)))
