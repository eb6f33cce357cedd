"""One inner update: optimisers, the linearised step with its operators, cuts, the way back."""

from hessdiag.inner.cuts import COUNTERFACTUALS, CUTS, FULL, STABLE, Cut, cut_called
from hessdiag.inner.finite_roots import with_finite_roots
from hessdiag.inner.linearise import linearised_step
from hessdiag.inner.memory import held_memory
from hessdiag.inner.optimisers import (
    annealing,
    clip_to_norm,
    constants_of,
    inner_optimiser,
    meta_optimiser,
)
from hessdiag.inner.products import product_over_steps
from hessdiag.inner.pullback import Cotangent, Outliers, outliers, pull_back
from hessdiag.inner.step import InnerStep
from hessdiag.inner.update import Eta, InnerState, InnerUpdate, OptaxUpdate

__all__ = [
    "COUNTERFACTUALS", "CUTS", "FULL", "STABLE", "Cotangent", "Cut", "Eta", "InnerState",
    "InnerStep", "InnerUpdate", "OptaxUpdate", "Outliers", "annealing", "clip_to_norm",
    "constants_of", "cut_called", "held_memory", "inner_optimiser", "linearised_step",
    "meta_optimiser", "outliers", "product_over_steps", "pull_back", "with_finite_roots",
]  # fmt: skip
