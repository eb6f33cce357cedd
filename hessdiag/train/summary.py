"""What a run's files say in few numbers: a record per iteration and per probe, and the summary."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray

from hessdiag.train.learner import Info


def iteration_record(t: int, info: Info, names: Sequence[str]) -> dict[str, Any]:
    """The line of metrics.jsonl; null stands for what is not defined.

    Args:
        t: the iteration.
        info: what it told, on the host.
        names: of the meta-parameters.
    """

    def by_name(values) -> dict[str, float | None]:
        return {name: _plain(values[k]) for k, name in enumerate(names)}

    return {
        "iteration": t,
        "learning_rate": _plain(info.learning_rate),
        "inner_loss": _plain(info.inner_loss),
        "outer_loss": _plain(info.outer_loss),
        "metrics": {name: _plain(value) for name, value in info.metrics.items()},
        "hyper": {name: _plain(info.hyper[name]) for name in names},
        "eta": by_name(info.eta),
        "meta_gradient": by_name(info.meta_gradient),
        "meta_gradient_norm": _plain(np.linalg.norm(info.meta_gradient)),
    }


def headline(dataset: xarray.Dataset) -> dict[str, Any]:
    """The few numbers of a probe that a terminal shows."""
    record: dict[str, Any] = {"iteration": int(dataset.attrs["iteration"])}
    if "growth" not in dataset:
        return record
    last = dataset.isel(horizon=-1)
    growth = last.sel(estimator=dataset.attrs["headline_estimator"])
    at = int(np.argmax(dataset.spectral_radius_minus_one.fillna(-np.inf).values))
    read: dict[str, Callable[[], Any]] = {
        "growth": lambda: growth.growth,
        "growth_low": lambda: growth.growth_low,
        "growth_high": lambda: growth.growth_high,
        "predicted": lambda: last.prediction.isel(explanation=0),
        "spectral_radius_minus_one": lambda: dataset.spectral_radius_minus_one.values.flat[at],
        "spectral_radius_minus_one_error": (
            lambda: dataset.spectral_radius_minus_one_error.values.flat[at]
        ),
        "mass_above_zero": lambda: dataset.mass_above_zero.mean(),
    }
    record |= {name: _plain(value()) for name, value in read.items()}
    record["matvecs"] = int(dataset.matvecs.sum())
    record["converged"] = bool(dataset.converged.all())
    return record


def _plain(value) -> float | None:
    """A JSON number, or null for NaN and infinity."""
    number = float(value)
    return number if math.isfinite(number) else None
