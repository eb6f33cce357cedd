"""The bootstrapped meta-gradient (Flennerhag et al. 2022)."""

from hessdiag.meta.estimators.base import Options
from hessdiag.meta.estimators.sweep import Sweep
from hessdiag.meta.objectives import Bootstrapped


def bootstrapped(options: Options) -> Sweep:
    """The distance to a target that further updates make, through n updates."""
    return Sweep(
        options, weights=None, cut=options.cut, objective=Bootstrapped(options.target_updates)
    )
