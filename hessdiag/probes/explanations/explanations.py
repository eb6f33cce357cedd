"""Explanations of the growth of the meta-gradient's standard deviation, and what each predicts.

An explanation is a function from the evidence measured at a probe to the predicted growth
s(i)/s(1) at every horizon i = 1 … n; or None where it does not apply to a run, so that all probes
of a run have the same explanations. What it cannot tell at one probe is NaN.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hessdiag.statistics.bootstrap import Interval
from hessdiag.statistics.defined import mean_defined
from hessdiag.statistics.growth import std_ratio


class Radii(NamedTuple):
    """Spectral radii of one operator on U' unrolls; arrays (U', n)."""

    minus_one: np.ndarray  # NaN where the eigenvalue did not converge
    error: np.ndarray  # to first order


@dataclass(frozen=True)
class Evidence:
    """What explanations may use; what was not measured is None.

    Attributes:
        radius_minus_one: (U, n) spectral radius of I + H_j minus one, on U unrolls.
        radius_error: (U, n) its error.
        memory: decay β₁ of the optimiser's first moment; None where it has none.
        operator_radii: by operator, the spectral radii minus one.
        product_norms: by operator, (U', n) ‖P_1‖ … ‖P_n‖, P_i over the last i − 1 inner steps.
        reach: (n, n) entry (i−1, j): mean over samples of |∂g^(j)-cotangent| / |T^(i)|, the norm
            of ∂θ^(i)/∂g^(j) along T^(i); NaN at horizons not measured.
        outer_std: (n, m) standard deviation of T^(i)·∂θ^(1)/∂η over samples, inner trajectories
            and validation drawn anew in each, apart from the meta-gradients' samples.
    """

    radius_minus_one: np.ndarray
    radius_error: np.ndarray
    memory: float | None
    operator_radii: Mapping[str, Radii] = field(default_factory=dict)
    product_norms: Mapping[str, np.ndarray] = field(default_factory=dict)
    reach: np.ndarray | None = None
    outer_std: np.ndarray | None = None

    @property
    def n(self) -> int:
        """The longest horizon."""
        return self.radius_minus_one.shape[1]


def spectral_radius(evidence: Evidence) -> Interval:
    """E1, the paper's: Σ_{k=1}^{i} Π_{j=1}^{k−1} ρ(I + H_{i−j}) (Bonnet et al. 2021, D.2)."""
    return _of_radii(Radii(evidence.radius_minus_one, evidence.radius_error))


def operator_radius(operator: str) -> "Explanation":
    """E1 with the radii of an operator that is not symmetric, on the unrolls where all converged.

    NaN where there is no such unroll.
    """

    def explain(evidence: Evidence) -> Interval | None:
        radii = evidence.operator_radii.get(operator)
        if radii is None:
            return None
        known = np.isfinite(radii.minus_one).all(axis=1)
        if not known.any():
            return _exact(np.full(evidence.n, np.nan))
        return _of_radii(Radii(radii.minus_one[known], radii.error[known]))

    return explain


def product_norms(operator: str) -> "Explanation":
    """E2: Σ_{k≤i} ‖P_k‖, real products instead of radii; the interval spans the unrolls.

    The P_k are over the last inner steps of the whole unroll, and so those of the longest horizon i
    = n. At shorter ones, whose products end earlier, they stand for them: an approximation of ours,
    good where curvature changes little within an unroll.
    """

    def explain(evidence: Evidence) -> Interval | None:
        norms = evidence.product_norms.get(operator)
        if norms is None or not norms.size:
            return None
        sums = np.cumsum(norms, axis=1)
        return Interval(sums.mean(axis=0), sums.min(axis=0), sums.max(axis=0))

    return explain


def accumulation_coherent(evidence: Evidence) -> Interval:
    """E3 with aligned terms: every product is the identity, n terms add up to n."""
    return _exact(np.arange(1.0, evidence.n + 1))


def accumulation_incoherent(evidence: Evidence) -> Interval:
    """E3 with independent terms: n terms add up to √n."""
    return _exact(np.sqrt(np.arange(1.0, evidence.n + 1)))


def memory_coherent(evidence: Evidence) -> Interval | None:
    """E4 with aligned terms: Σ_k (1 − β₁^k) / (1 − β₁)."""
    gains = _memory_gains(evidence)
    return None if gains is None else _exact(np.cumsum(gains))


def memory_incoherent(evidence: Evidence) -> Interval | None:
    """E4 with independent terms: the root of Σ_k (1 − β₁^k)² / (1 − β₁)²."""
    gains = _memory_gains(evidence)
    return None if gains is None else _exact(np.sqrt(np.cumsum(gains**2)))


def transient_coherent(evidence: Evidence) -> Interval | None:
    """E5 with aligned terms: Σ_j ‖T^(i)·∂θ^(i)/∂g^(j)‖/‖T^(i)‖, relative to one step.

    The augmented products with the optimiser's state, restricted to where ∂g/∂η enters and to the
    direction that T reads.
    """
    return _relative(evidence.reach, lambda reach: np.nansum(reach, axis=1))


def transient_incoherent(evidence: Evidence) -> Interval | None:
    """E5 with independent terms: the root of the sum of squares."""
    return _relative(evidence.reach, lambda reach: np.sqrt(np.nansum(reach**2, axis=1)))


def validation_noise(evidence: Evidence) -> Interval | None:
    """E6: the spread of T^(i) alone, against a sensitivity that stays what it is after one step.

    The spread is over everything random, and so holds what inner trajectories do to T by moving
    θ^(i), besides what its validation trajectories do. The share of the variance that validation
    contributes is measured beside it, by nested sampling, and not multiplied in: the whole spread
    of T already has what such a factor would add. This reading of validation noise is ours.
    A probe draws other samples for it than those of the meta-gradients whose growth it predicts,
    so that no noise in common favours it.
    """
    if evidence.outer_std is None:
        return None
    return _exact(mean_defined(std_ratio(evidence.outer_std), axis=1))


Explanation = Callable[[Evidence], Interval | None]

SPECTRAL = "E1 spectral radius"

EXPLANATIONS: dict[str, Explanation] = {
    SPECTRAL: spectral_radius,
    "E1 spectral radius, preconditioned": operator_radius("preconditioned"),
    "E1 spectral radius, update": operator_radius("update"),
    "E1 spectral radius, augmented": operator_radius("augmented"),
    "E2 products, paper": product_norms("paper"),
    "E2 products, preconditioned": product_norms("preconditioned"),
    "E3 accumulation, coherent": accumulation_coherent,
    "E3 accumulation, incoherent": accumulation_incoherent,
    "E4 optimiser memory, coherent": memory_coherent,
    "E4 optimiser memory, incoherent": memory_incoherent,
    "E5 transient growth, coherent": transient_coherent,
    "E5 transient growth, incoherent": transient_incoherent,
    "E6 validation noise": validation_noise,
}


def predictions(
    evidence: Evidence, more: Mapping[str, Explanation] | None = None
) -> dict[str, Interval]:
    """What every applicable explanation predicts, by label.

    Args:
        evidence: what was measured at a probe.
        more: explanations beside the built-in ones.
    """
    explanations = EXPLANATIONS | dict(more or {})
    made = {label: explain(evidence) for label, explain in explanations.items()}
    return {label: prediction for label, prediction in made.items() if prediction is not None}


def _of_radii(radii: Radii) -> Interval:
    """Their mean over unrolls; the envelope with every radius at either end of its error."""

    def predicted(minus_one: np.ndarray) -> np.ndarray:
        return np.stack([_sum_of_products(1.0 + one) for one in np.maximum(minus_one, -1.0)])

    value = predicted(radii.minus_one).mean(axis=0)
    low = predicted(radii.minus_one - radii.error).min(axis=0)
    high = predicted(radii.minus_one + radii.error).max(axis=0)
    return Interval(value, low, high)


def _sum_of_products(radius: np.ndarray) -> np.ndarray:
    """Σ_k Π_{j<k} radius[i−j] for every horizon i: the newest factors come first."""
    n = len(radius)
    sums = np.empty(n)
    for i in range(1, n + 1):
        newest_first = radius[1:i][::-1]  # I + H_{i−1} … I + H_1; the oldest term meets them all
        sums[i - 1] = 1.0 + np.sum(np.cumprod(newest_first))
    return sums


def _memory_gains(evidence: Evidence) -> np.ndarray | None:
    """Response of θ^(i) to a perturbation of the gradient k updates ago, relative to k = 1.

    A gradient enters the first moment with weight 1 − β₁ and decays by β₁ per update, so that
    after k updates it has moved θ by 1 − β₁^k times its unit step.
    """
    if evidence.memory is None:
        return None
    k = np.arange(1, evidence.n + 1)
    return (1.0 - evidence.memory**k) / (1.0 - evidence.memory)


def _relative(
    reach: np.ndarray | None, total: Callable[[np.ndarray], np.ndarray]
) -> Interval | None:
    """A total over terms, relative to one step; NaN at horizons not measured."""
    if reach is None:
        return None
    measured = np.isfinite(reach).any(axis=1)
    totals = total(reach)
    return _exact(np.where(measured, totals / totals[0], np.nan))


def _exact(values: np.ndarray) -> Interval:
    return Interval(values, values, values)
