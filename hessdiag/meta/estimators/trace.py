"""The accumulative trace: every I + H replaced by μI (Bonnet et al. 2021, appendix D.1)."""

from hessdiag.inner import Cut
from hessdiag.meta.estimators.base import Options
from hessdiag.meta.estimators.sweep import Sweep


def trace(options: Options) -> Sweep:
    """The n-step meta-gradient without Hessian and optimiser memory, decayed by μ per update."""
    return Sweep(options, weights=None, cut=Cut(trace=options.trace_decay))
