"""What a meta-gradient descends at θ^(i)."""

from hessdiag.meta.objectives.base import Objective, Outer
from hessdiag.meta.objectives.bootstrapped import Bootstrapped
from hessdiag.meta.objectives.validation import Validation

__all__ = ["Bootstrapped", "Objective", "Outer", "Validation"]
