"""E1: spectral radii."""

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, Explanation, Radii, exact
from hessdiag.statistics.bootstrap import Interval


def spectral_radius(evidence: Evidence) -> Interval:
    """E1, the paper's: Σ_{k=1}^{i} Π_{j=1}^{k−1} ρ(I + H_{i−j}) (Bonnet et al. 2021, D.2)."""
    return _of_radii(Radii(evidence.radius_minus_one, evidence.radius_error))


def operator_radius(operator: str) -> Explanation:
    """E1 with the radii of an operator that is not symmetric, on the unrolls where all converged.

    NaN where there is no such unroll.
    """

    def explain(evidence: Evidence) -> Interval | None:
        radii = evidence.operator_radii.get(operator)
        if radii is None:
            return None
        known = np.isfinite(radii.minus_one).all(axis=1)
        if not known.any():
            return exact(np.full(evidence.n, np.nan))
        return _of_radii(Radii(radii.minus_one[known], radii.error[known]))

    return explain


def _of_radii(radii: Radii) -> Interval:
    """Their mean over unrolls; the envelope with every radius at either end of its error."""

    def predicted(minus_one: np.ndarray) -> np.ndarray:
        return np.stack([_sum_of_products(1.0 + row) for row in np.maximum(minus_one, -1.0)])

    value = predicted(radii.minus_one).mean(axis=0)
    low = predicted(radii.minus_one - radii.error).min(axis=0)
    high = predicted(radii.minus_one + radii.error).max(axis=0)
    return Interval(value, low, high)


def _sum_of_products(radius: np.ndarray) -> np.ndarray:
    """Σ_k Π_{j<k} radius[i−j] for every horizon i: the oldest term meets I + H_{i−1} … I + H_1."""
    newest_first = (radius[1:i][::-1] for i in range(1, len(radius) + 1))
    return np.array([1.0 + np.sum(np.cumprod(factors)) for factors in newest_first])
