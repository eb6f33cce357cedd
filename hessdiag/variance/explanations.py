"""Explanations of the growth of the meta-gradient's standard deviation, and what each predicts.

An explanation is a function from the evidence measured at a probe to the predicted growth
s(i)/s(1) at every horizon i = 1 … n, or None where it does not apply.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hessdiag.variance.bootstrap import Interval


@dataclass(frozen=True)
class Evidence:
    """What explanations may use.

    Attributes:
        radius_minus_one: (U, n) spectral radius of I + H_j minus one, on U unrolls.
        radius_error: (U, n) its error.
        optimiser: name of the inner optimiser.
        memory: decay β₁ of the optimiser's first moment; None where it has none.
    """

    radius_minus_one: np.ndarray
    radius_error: np.ndarray
    optimiser: str
    memory: float | None

    @property
    def n(self) -> int:
        """The longest horizon."""
        return self.radius_minus_one.shape[1]


def spectral_radius(evidence: Evidence) -> Interval:
    """E1, the paper's: Σ_{k=1}^{i} Π_{j=1}^{k−1} ρ(I + H_{i−j}) (Bonnet et al. 2021, D.2).

    The mean over the unrolls; the interval is the envelope of the unrolls with every radius at
    either end of its error.
    """

    def predicted(radius_minus_one: np.ndarray) -> np.ndarray:
        return np.stack([_sum_of_products(1.0 + one) for one in radius_minus_one])

    value = predicted(evidence.radius_minus_one).mean(axis=0)
    low = predicted(evidence.radius_minus_one - evidence.radius_error).min(axis=0)
    high = predicted(evidence.radius_minus_one + evidence.radius_error).max(axis=0)
    return Interval(value, low, high)


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


EXPLANATIONS: dict[str, Callable[[Evidence], Interval | None]] = {
    "E1 spectral radius": spectral_radius,
    "E3 accumulation, coherent": accumulation_coherent,
    "E3 accumulation, incoherent": accumulation_incoherent,
    "E4 optimiser memory, coherent": memory_coherent,
    "E4 optimiser memory, incoherent": memory_incoherent,
}


def predictions(evidence: Evidence) -> dict[str, Interval]:
    """What every applicable explanation predicts, by label."""
    made = {label: explain(evidence) for label, explain in EXPLANATIONS.items()}
    return {label: prediction for label, prediction in made.items() if prediction is not None}


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


def _exact(values: np.ndarray) -> Interval:
    return Interval(values, values, values)
