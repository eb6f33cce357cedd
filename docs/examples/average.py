"""An estimator of one's own: the plain average of all horizons."""

from hessdiag.meta import Options, Sweep


def average(options: Options) -> Sweep:
    """Every i-step meta-gradient, i = 1 … n, with the same weight."""
    return Sweep(options, weights=(1 / options.n,) * options.n, cut=options.cut)
