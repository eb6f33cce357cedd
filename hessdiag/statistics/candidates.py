"""Estimators of the n-step meta-gradient that are made of the parts of one sample."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hessdiag.statistics.mixing import mix_weights

REFERENCE = "n-step"  # what all the others are compared with
KAPPAS = (0.5, 0.7, 0.8, 0.9, 0.95)  # mixing factors κ besides the default
DECAYS = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0)  # μ of the accumulative trace
CUTS = ("no-hessian", "no-memory", "no-first-moment")
DRAWS = (2, 4, 8)  # of the validation trajectories, that are averaged


class Parts(NamedTuple):
    """Of K samples: what all candidates are made of, at the longest horizon n; arrays."""

    terms: Any  # (K, n, m) of eq. 11, of inner updates 0 … n − 1
    direct: Any  # (K, m) of η in the outer loss itself
    initial: Any  # (K, m) of η in x^(0)
    traced: Any  # (K, n, m) terms of the accumulative trace, μ = 1
    traced_initial: Any  # (K, m) of η in x^(0) under that trace
    mixes: Any  # (K, κ, m) by `mixing_factors`
    cuts: Any  # (K, 3, m) by `CUTS`
    averaged: Any  # (K, 3, m) by `DRAWS`
    smoothed: Any  # (K, σ, m) of evolution strategies


class Candidate(NamedTuple):
    """An estimator, what it costs in rollouts, and how it is made of parts."""

    rollouts: int
    made: Callable[[Parts], np.ndarray]  # (K, m)


def mixing_factors(n: int) -> tuple[float, ...]:
    """The κ of the mixes: a grid with the default 1 − 1/n in its place."""
    default = () if n < 2 else (1.0 - 1.0 / n,)
    return tuple(sorted({round(kappa, 12) for kappa in (*KAPPAS, *default)}))


def mixing_weights(n: int) -> np.ndarray:
    """(κ, n) weights of eq. 10 of each of these."""
    return np.stack([mix_weights(n, kappa) for kappa in mixing_factors(n)])


def candidates(n: int, deviations: Sequence[float]) -> Mapping[str, Candidate]:
    """All of them by name, the n-step meta-gradient first.

    An estimate takes n rollouts for its inner updates, and one for its outer loss. A mix has an
    outer loss at every horizon; a pair of evolution strategies is two unrolls.

    Args:
        n: the longest horizon.
        deviations: σ of evolution strategies, in the order of `Parts.smoothed`.
    """
    made = {REFERENCE: Candidate(n + 1, _whole)}
    made |= {f"last {k}": Candidate(n + 1, _last(k)) for k in range(1, n)}
    made |= {
        f"mix {kappa:.3g}": Candidate(2 * n, _entry("mixes", place))
        for place, kappa in enumerate(mixing_factors(n))
    }
    made |= {f"trace {mu:g}": Candidate(n + 1, _trace(mu)) for mu in DECAYS}
    made |= {cut: Candidate(n + 1, _entry("cuts", place)) for place, cut in enumerate(CUTS)}
    made |= {
        f"es {sigma:.3g}": Candidate(2 * (n + 1), _entry("smoothed", place))
        for place, sigma in enumerate(deviations)
    }
    made |= {
        f"validations {number}": Candidate(n + number, _entry("averaged", place))
        for place, number in enumerate(DRAWS)
    }
    return made


def _entry(part: str, place: int) -> Callable[[Parts], np.ndarray]:
    return lambda parts: getattr(parts, part)[:, place]


def _whole(parts: Parts) -> np.ndarray:
    """The n-step meta-gradient (eq. 5), as the sum of all terms."""
    return parts.terms.sum(axis=1) + parts.direct + parts.initial


def _last(k: int) -> Callable[[Parts], np.ndarray]:
    """The terms of the last k inner updates: what η did before them is left out."""
    return lambda parts: parts.terms[:, -k:].sum(axis=1) + parts.direct


def _trace(mu: float) -> Callable[[Parts], np.ndarray]:
    """The accumulative trace: the term of an update is scaled by μ for each of those after it."""

    def made(parts: Parts) -> np.ndarray:
        n = parts.traced.shape[1]
        scales = mu ** np.arange(n - 1.0, -1.0, -1.0)
        terms = np.einsum("j,kjm->km", scales, parts.traced)
        return terms + parts.direct + mu**n * parts.traced_initial

    return made
