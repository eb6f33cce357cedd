"""How a meta-gradient is made: inner updates, unrolls, sweeps and estimators."""

from hessdiag.meta.adjoint import adjoint_meta_gradient
from hessdiag.meta.estimators import ESTIMATORS, Estimator, MetaStep, meta_step, mix_weights
from hessdiag.meta.outer_growth import outer_growth
from hessdiag.meta.sensitivity import all_horizons, all_horizons_from, sensitivity_norms
from hessdiag.meta.sources import Sources, share_one, sources
from hessdiag.meta.start import Start
from hessdiag.meta.terms import Terms, terms
from hessdiag.meta.unroll import Unroll, point, unroll

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "MetaStep",
    "Sources",
    "Start",
    "Terms",
    "Unroll",
    "adjoint_meta_gradient",
    "all_horizons",
    "all_horizons_from",
    "meta_step",
    "mix_weights",
    "outer_growth",
    "point",
    "sensitivity_norms",
    "share_one",
    "sources",
    "terms",
    "unroll",
]
