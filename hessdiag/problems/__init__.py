"""Learning problems: what is learned, and how trajectories and losses come about."""

from hessdiag.learning import Learning
from hessdiag.problems.base import About, MetaParameter, Problem
from hessdiag.problems.loss_terms import LossTerms, total
from hessdiag.problems.registry import (
    BUILT_IN,
    LIBRARIES,
    callable_at,
    factory,
    is_own,
    make,
    settings_of,
)
from hessdiag.problems.scalars import (
    NamedScalars,
    hyper_parameters,
    initial_eta,
    with_transform,
)

__all__ = [
    "BUILT_IN", "LIBRARIES", "About", "Learning", "LossTerms", "MetaParameter", "NamedScalars",
    "Problem", "callable_at", "factory", "hyper_parameters", "initial_eta", "is_own", "make",
    "settings_of", "total", "with_transform",
]  # fmt: skip
