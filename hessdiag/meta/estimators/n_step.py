"""The n-step meta-gradient (Bonnet et al. 2021, eq. 5)."""

from hessdiag.meta.estimators.base import Options
from hessdiag.meta.estimators.sweep import Sweep


def n_step(options: Options) -> Sweep:
    """The outer loss after n updates, through all of them."""
    return Sweep(options, weights=None, cut=options.cut)
