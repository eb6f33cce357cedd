"""Published curves of training, to stand beside ours in figures.

Bonnet et al. 2022, mean and deviation over 10 seeds; one seed where advantages are normalised,
which has no deviation. They are of the published data, but for the chain without normalisation: its
curves were read off published plots, to what `read_to` says. A point of the chain is the last of 50
updates. The outer advantage is called the bias there; that of Snake with normalised advantages is
left out, being zero by construction.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from hessdiag.analysis.measured import Configuration

_ALIKE = {  # the settings of the published runs, by problem
    "chain": {
        "problem.batch_size": 128,
        "problem.entropy": 0.005,
        "problem.start_gamma": 0.95,
        "learning.optimiser": "sgd",
        "learning.learning_rate": 0.5,
        "learning.meta_learning_rate": (0.1,),
    },
    "snake-outer": {
        "problem.rows": 6,
        "problem.cols": 6,
        "problem.batch_size": 512,
        "problem.rollout_length": 5,
        "problem.start_gamma": 0.8,
        "learning.optimiser": "rmsprop",
        "learning.learning_rate": 5e-4,
        "learning.meta_learning_rate": (3e-3, 6e-3),  # of the bootstrapped ones
    },
}
_OF_ALL = {
    "paths": "full",
    "monte_carlo": 1,
    "target_updates": 1,
    "learning.keep": "1",
    "learning.schedule": "constant",
}
_KEYS = {
    "env": "env",
    "estimator": "estimator",
    "n": "n",
    "outer_critic": "problem.outer_critic",
    "normalised": "problem.normalise_advantages",
}


def published_curves(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Series, iteration, mean, deviation and `read_to` of the run that is like this; else none."""
    wanted = dict(_ALIKE.get(settings.get("env", ""), {}))
    if not wanted or any(settings.get(key) != value for key, value in _OF_ALL.items()):
        return pd.DataFrame()
    rates = wanted.pop("learning.meta_learning_rate")
    rate = rates[-1] if settings["estimator"] == "bootstrapped" else rates[0]
    if settings["n"] > 0:
        wanted["learning.meta_learning_rate"] = rate
    if any(settings.get(key) != value for key, value in wanted.items()):
        return pd.DataFrame()
    curves: Any = _curves()
    for column, key in _KEYS.items():
        curves = curves[curves[column] == settings[key]]
    return curves.drop(columns=list(_KEYS)).reset_index(drop=True)


def curve_table(of: Configuration) -> pd.DataFrame:
    """The published curves of a configuration, if there are any."""
    return published_curves(of.settings)


@cache
def _curves() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_suffix(".csv"))
