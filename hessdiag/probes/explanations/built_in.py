"""The built-in explanations, E1 to E6: what each predicts for the growth."""

import numpy as np

from hessdiag.probes.explanations.evidence import Evidence, Explanation, Radii, exact
from hessdiag.statistics.bootstrap import Interval
from hessdiag.statistics.defined import mean_defined
from hessdiag.statistics.growth import std_ratio


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


def accumulation(*, coherent: bool) -> Explanation:
    """E3: every product is the identity; n aligned terms add up to n, independent ones to √n."""
    return lambda evidence: exact(_added_up(np.ones(evidence.n), coherent))


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
        return exact(_added_up(gains, coherent))

    return explain


def _added_up(gains: np.ndarray, coherent: bool) -> np.ndarray:
    """What the first i = 1 … n terms add up to, by their gains: aligned, or independent."""
    return np.cumsum(gains) if coherent else np.sqrt(np.cumsum(gains**2))


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


def validation_noise(evidence: Evidence) -> Interval | None:
    """E6: the spread of T^(i) alone, against a sensitivity that stays what it is after one step.

    This reading of validation noise is ours. The spread is over everything random, and so holds
    what inner trajectories do to T by moving θ^(i); the share that validation has of the variance,
    measured beside it by nested sampling, is not multiplied in. Samples are others than those of
    the meta-gradients whose growth it predicts, so that no noise in common favours it.
    """
    if evidence.outer_std is None:
        return None
    return exact(mean_defined(std_ratio(evidence.outer_std), axis=1))
