"""Estimators of the meta-gradient, by name. A new one is a file here and an entry in the table."""

from collections.abc import Callable, Mapping

from hessdiag.meta.estimators.base import Estimator, MetaStep, Options
from hessdiag.meta.estimators.bootstrapped import bootstrapped
from hessdiag.meta.estimators.es import EvolutionStrategies
from hessdiag.meta.estimators.mix import mix
from hessdiag.meta.estimators.n_step import n_step
from hessdiag.meta.estimators.sweep import Sweep
from hessdiag.meta.estimators.trace import trace

ESTIMATORS: Mapping[str, Callable[[Options], Estimator]] = {
    "n-step": n_step,
    "mix": mix,
    "trace": trace,
    "bootstrapped": bootstrapped,
    "es": EvolutionStrategies,
}

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "EvolutionStrategies",
    "MetaStep",
    "Options",
    "Sweep",
]
