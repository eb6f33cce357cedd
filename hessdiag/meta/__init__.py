"""How a meta-gradient is made: inner updates, unrolls, sweeps and estimators."""

from hessdiag.meta.adjoint import adjoint_meta_gradient
from hessdiag.meta.estimators import ESTIMATORS, Estimator, MetaStep, meta_step, mix_weights
from hessdiag.meta.inner_update import InnerState, InnerUpdate, annealing
from hessdiag.meta.meta_parameters import hyper_parameters, initial_eta
from hessdiag.meta.optimisers import (
    constants_of,
    inner_optimiser,
    meta_optimiser,
)
from hessdiag.meta.outer_growth import outer_growth
from hessdiag.meta.paths import COUNTERFACTUALS, FULL, STABLE, Paths, paths_called
from hessdiag.meta.sensitivity import all_horizons, all_horizons_from, sensitivity_norms
from hessdiag.meta.sources import Sources, share_one, sources
from hessdiag.meta.start import Start
from hessdiag.meta.terms import Terms, terms
from hessdiag.meta.unroll import Unroll, point, unroll

__all__ = [
    "COUNTERFACTUALS",
    "ESTIMATORS",
    "FULL",
    "STABLE",
    "Estimator",
    "InnerState",
    "InnerUpdate",
    "MetaStep",
    "Paths",
    "Sources",
    "Start",
    "Terms",
    "Unroll",
    "adjoint_meta_gradient",
    "all_horizons",
    "all_horizons_from",
    "annealing",
    "constants_of",
    "hyper_parameters",
    "initial_eta",
    "inner_optimiser",
    "meta_optimiser",
    "meta_step",
    "mix_weights",
    "outer_growth",
    "paths_called",
    "point",
    "sensitivity_norms",
    "share_one",
    "sources",
    "terms",
    "unroll",
]
