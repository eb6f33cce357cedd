"""The weighted sum of all i-step meta-gradients, i = 1 … n (Bonnet et al. 2021, eq. 10)."""

from hessdiag.meta.estimators.base import Options
from hessdiag.meta.estimators.sweep import Sweep
from hessdiag.statistics.mixing import mix_weights


def mix(options: Options) -> Sweep:
    """All horizons of one unroll, weighted by powers of κ."""
    weights = tuple(mix_weights(options.n, options.kappa)) if options.n > 0 else None
    return Sweep(options, weights=weights, cut=options.cut)
