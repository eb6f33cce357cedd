"""The sweeps that have names."""

from hessdiag.inner import CUTS, Cut
from hessdiag.meta.estimators.base import Options
from hessdiag.meta.estimators.sweep import Sweep
from hessdiag.meta.objectives import Bootstrapped
from hessdiag.statistics.mixing import mix_weights


def n_step(options: Options) -> Sweep:
    """The outer loss after n updates, through all of them (Bonnet et al. 2021, eq. 5)."""
    return Sweep(options, cut=options.cut)


def mix(options: Options) -> Sweep:
    """All horizons of one unroll, weighted by powers of κ (Bonnet et al. 2021, eq. 10)."""
    weights = tuple(mix_weights(options.n, options.kappa)) if options.n > 0 else None
    return Sweep(options, weights=weights, cut=options.cut)


def trace(options: Options) -> Sweep:
    """The accumulative trace: every I + H is replaced by μI (Bonnet et al. 2021, appendix D.1)."""
    return Sweep(options, cut=Cut(trace=options.trace_decay))


def bootstrapped(options: Options) -> Sweep:
    """The distance to a target that further updates make (Flennerhag et al. 2022)."""
    return Sweep(options, cut=options.cut, objective=Bootstrapped(options.target_updates))


def score(options: Options) -> Sweep:
    """The n-step meta-gradient with the path through what is sampled (Stadie et al. 2018)."""
    return Sweep(options, cut=options.cut, scores="full")


def score_centred(options: Options) -> Sweep:
    """The same with a baseline even of one sample: one more unroll's objective."""
    return Sweep(options, cut=options.cut, scores="centred")


def linearised_score(options: Options) -> Sweep:
    """The path through what is sampled to first order: LSF (Tang 2021)."""
    return Sweep(options, cut=options.cut, scores="linearised")


def first_order(options: Options) -> Sweep:
    """No path through the Hessian, nor through what is sampled (Finn et al. 2017)."""
    return Sweep(options, cut=CUTS["no-hessian"])
