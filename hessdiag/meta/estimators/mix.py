"""The weighted sum of all i-step meta-gradients, i = 1 … n (Bonnet et al. 2021, eq. 10)."""

import numpy as np

from hessdiag.meta.estimators.base import Options
from hessdiag.meta.estimators.sweep import Sweep


def mix(options: Options) -> Sweep:
    """All horizons of one unroll, weighted by powers of κ."""
    weights = tuple(mix_weights(options.n, options.kappa)) if options.n > 0 else None
    return Sweep(options, weights=weights, cut=options.cut)


def mix_weights(n: int, kappa: float | None = None) -> np.ndarray:
    """w_i = κ^{i−1} (1 − κ)/(1 − κ^n), i = 1 … n (eq. 10).

    Args:
        n: number of inner updates, n ≥ 1.
        kappa: κ in [0, 1]; None means 1 − 1/n. At κ = 1 the limit 1/n is taken.
    """
    kappa = 1.0 - 1.0 / n if kappa is None else kappa
    powers = kappa ** np.arange(n)
    return powers / powers.sum()
