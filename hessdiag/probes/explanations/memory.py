"""E4: terms that add up in the optimiser's first moment."""

import numpy as np

from hessdiag.probes.explanations.accumulation import added_up
from hessdiag.probes.explanations.evidence import Evidence, Explanation, exact
from hessdiag.statistics.bootstrap import Interval


def memory(*, coherent: bool) -> Explanation:
    """E4: the same with the optimiser's first moment, Σ_k (1 − β₁^k) / (1 − β₁).

    A gradient enters the first moment with weight 1 − β₁ and decays by β₁ per update, so that after
    k updates it has moved θ by 1 − β₁^k times its unit step. Independent terms add up in squares.
    """

    def explain(evidence: Evidence) -> Interval | None:
        decay = evidence.memory
        if decay is None:
            return None
        gains = (1.0 - decay ** np.arange(1, evidence.n + 1)) / (1.0 - decay)
        return exact(added_up(gains, coherent))

    return explain
