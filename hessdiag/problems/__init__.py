"""Learning problems: what is learned, and how trajectories and losses come about."""

from hessdiag.problems.base import About, Learning, MetaParameter, Problem
from hessdiag.problems.registry import BUILT_IN, factory, make, settings_of

__all__ = [
    "BUILT_IN",
    "About",
    "Learning",
    "MetaParameter",
    "Problem",
    "factory",
    "make",
    "settings_of",
]
