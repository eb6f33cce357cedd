"""One inner update: optimisers, the augmented state, the linearised step, cuts."""

from hessdiag.inner.augmented import Augmented, augmented, response
from hessdiag.inner.cuts import COUNTERFACTUALS, FULL, STABLE, Paths, paths_called
from hessdiag.inner.finite_roots import with_finite_roots
from hessdiag.inner.linearised import linearised_step
from hessdiag.inner.optimisers import constants_of, inner_optimiser, meta_optimiser
from hessdiag.inner.outliers import Outliers, outliers, without
from hessdiag.inner.products import product_over_steps
from hessdiag.inner.pullback import PulledBack, contract, pull_back
from hessdiag.inner.step import InnerStep, inner_step
from hessdiag.inner.update import Eta, InnerState, InnerUpdate, annealing

__all__ = [
    "COUNTERFACTUALS",
    "FULL",
    "STABLE",
    "Augmented",
    "Eta",
    "InnerState",
    "InnerStep",
    "InnerUpdate",
    "Outliers",
    "Paths",
    "PulledBack",
    "annealing",
    "augmented",
    "constants_of",
    "contract",
    "inner_optimiser",
    "inner_step",
    "linearised_step",
    "meta_optimiser",
    "outliers",
    "paths_called",
    "product_over_steps",
    "pull_back",
    "response",
    "with_finite_roots",
    "without",
]
