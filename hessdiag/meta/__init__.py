"""How a meta-gradient is made: unrolls, random streams, objectives, sweeps, estimators."""

from hessdiag.meta import streams
from hessdiag.meta.adjoint import adjoint_meta_gradient
from hessdiag.meta.estimators import ESTIMATORS, Estimator, MetaStep, Options, Sweep
from hessdiag.meta.horizons import all_horizons, all_horizons_from, outer_growth, sensitivity_norms
from hessdiag.meta.objectives import Bootstrapped, Objective, Outer, Validation
from hessdiag.meta.streams import Sources, share_one, sources
from hessdiag.meta.sweeps import Swept, weighted_sweeps
from hessdiag.meta.system import Start, System, again
from hessdiag.meta.terms import Terms, terms
from hessdiag.meta.under_eta import Held, aim, held, outer_losses, responses
from hessdiag.meta.unroll import Unroll, point, unroll

__all__ = [
    "ESTIMATORS", "Bootstrapped", "Estimator", "Held", "MetaStep", "Objective", "Options",
    "Outer", "Sources", "Start", "Sweep", "Swept", "System", "Terms", "Unroll", "Validation",
    "adjoint_meta_gradient", "again", "aim", "all_horizons", "all_horizons_from", "held",
    "outer_growth", "outer_losses", "point", "responses", "sensitivity_norms", "share_one",
    "sources", "streams", "terms", "unroll", "weighted_sweeps",
]  # fmt: skip
