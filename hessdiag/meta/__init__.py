"""How a meta-gradient is made: inner updates, unrolls, sweeps and estimators."""

from hessdiag.meta.adjoint import adjoint_meta_gradient
from hessdiag.meta.estimators import ESTIMATORS, Estimator, MetaStep, meta_step, mix_weights
from hessdiag.meta.inner_update import InnerState, InnerUpdate, annealing
from hessdiag.meta.meta_parameters import hyper_parameters, initial_eta
from hessdiag.meta.optimisers import (
    FIRST_MOMENT_DECAY,
    OPTIMISERS,
    inner_optimiser,
    meta_optimiser,
)
from hessdiag.meta.sensitivity import all_horizons
from hessdiag.meta.unroll import Unroll, point, unroll

__all__ = [
    "ESTIMATORS",
    "FIRST_MOMENT_DECAY",
    "OPTIMISERS",
    "Estimator",
    "InnerState",
    "InnerUpdate",
    "MetaStep",
    "Unroll",
    "adjoint_meta_gradient",
    "all_horizons",
    "annealing",
    "hyper_parameters",
    "initial_eta",
    "inner_optimiser",
    "meta_optimiser",
    "meta_step",
    "mix_weights",
    "point",
    "unroll",
]
