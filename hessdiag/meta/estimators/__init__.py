"""Estimators of the meta-gradient, by name. A new one is a file and an entry in the table."""

from collections.abc import Callable, Mapping

from hessdiag.meta.estimators.base import Estimator, MetaStep, Options
from hessdiag.meta.estimators.compositions import (
    bootstrapped,
    first_order,
    linearised_score,
    mix,
    n_step,
    score,
    score_centred,
    trace,
)
from hessdiag.meta.estimators.es import EvolutionStrategies
from hessdiag.meta.estimators.sweep import Sweep

ESTIMATORS: Mapping[str, Callable[[Options], Estimator]] = {
    "n-step": n_step,
    "mix": mix,
    "trace": trace,
    "bootstrapped": bootstrapped,
    "score": score,
    "score-centred": score_centred,
    "lsf": linearised_score,
    "first-order": first_order,
    "es": EvolutionStrategies,
}

__all__ = ["ESTIMATORS", "Estimator", "EvolutionStrategies", "MetaStep", "Options", "Sweep"]
