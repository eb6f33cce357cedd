"""Explanations against the measurement over all probes of a configuration."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hessdiag.meta import mix_weights
from hessdiag.results.cells import CellResult
from hessdiag.results.moments import KEPT, phase_of
from hessdiag.variance import Contest, Fit, Interval, JointFit, contest, fits, mixed_growth

RESAMPLES = 2000


class Evidence(NamedTuple):
    """What is compared: P probes at H horizons beyond the first."""

    horizons: list[int]
    estimator: str
    measured: np.ndarray  # (P, H) growth of its meta-gradients
    predicted: dict[str, np.ndarray]  # (P, H) by explanation
    seeds: list[int]  # (P,)
    places: list[dict[str, Any]]  # (P,) seed, iteration and phase


class Standings(NamedTuple):
    """The outcome for one configuration."""

    contest: Contest | None
    fits: list[Fit]
    joint: JointFit | None


def evidence(results: Sequence[CellResult], *, estimator: str) -> Evidence | None:
    """Growth and predictions at kept horizons where every explanation spoke; None without any.

    Explanations speak of n-step meta-gradients; what follows for their mix is that of horizons
    which vary independently, since each is validated on trajectories of its own.

    Args:
        results: cells of one configuration.
        estimator: "n-step" or "mix".
    """
    probes, seeds, places = [], [], []
    for result in results:
        settings = result.cell.settings
        for probe in result.probes:
            if "growth" in probe and np.isfinite(probe.growth).all():
                at = int(probe.attrs["iteration"])
                phase = phase_of(at, settings.train.iterations)
                probes.append(probe)
                seeds.append(settings.seed)
                places.append({"seed": settings.seed, "iteration": at, "when": phase})
    if not probes or probes[0].sizes["horizon"] < 2:
        return None
    labels = probes[0].explanation.values.astype(str)
    predicted = np.stack([p.prediction.values for p in probes])  # (P, E, n)
    if estimator == "mix":
        kappa = results[0].cell.settings.kappa
        weights = [mix_weights(i, kappa) for i in range(1, predicted.shape[-1] + 1)]
        predicted = mixed_growth(predicted, weights, coherent=False)
    spoke = np.min(np.isfinite(predicted), axis=0)  # (E, n)
    silent = ~spoke.any(axis=1, keepdims=True)
    last = spoke.shape[1] - 1
    wanted = [k for k in range(1, last + 1) if k + 1 in KEPT or k == last]
    horizons = [k for k in wanted if (spoke | silent)[:, k].all()]
    if not horizons:
        return None
    measured = np.stack([p.growth.sel(estimator=estimator).values for p in probes])
    return Evidence(
        [int(probes[0].horizon[k]) for k in horizons],
        estimator,
        measured[:, horizons],
        {label: predicted[:, e][:, horizons] for e, label in enumerate(labels)},
        seeds,
        places,
    )


def standings(found: Evidence, *, confidence: float) -> Standings:
    """Who predicts the growth best, and how each prediction follows it."""
    options = {"confidence": confidence, "resamples": RESAMPLES}
    at = (found.measured, found.predicted, found.seeds)
    alone, joint = fits(*at, rng=np.random.default_rng(1), **options)
    decided = contest(*at, rng=np.random.default_rng(0), **options)
    return Standings(decided, alone, joint)


def comparison_rows(name: str, found: Evidence) -> list[dict[str, Any]]:
    """Every prediction beside its measurement."""
    return [
        {
            "configuration": name,
            "estimator": found.estimator,
            **place,
            "horizon": horizon,
            "explanation": label,
            "predicted": float(values[p, h]),
            "measured": float(found.measured[p, h]),
        }
        for label, values in found.predicted.items()
        for p, place in enumerate(found.places)
        for h, horizon in enumerate(found.horizons)
        if np.isfinite(values[p, h])
    ]


def standing_rows(name: str, estimator: str, made: Standings) -> list[dict[str, Any]]:
    """One row per explanation, the closest first."""
    place = {"configuration": name, "estimator": estimator}
    by_label = {fit.label: fit for fit in made.fits}
    joint = {}
    if made.joint is not None:
        joint = {label: k for k, label in enumerate(made.joint.labels)}
    rows = []
    for standing in made.contest.standings if made.contest else ():
        row: dict[str, Any] = place | {"explanation": standing.label}
        row |= _ends("log_error", standing.log_error) | _ends("calibration", standing.bias)
        row["wins"] = standing.wins
        fit = by_label.get(standing.label)
        if fit is not None:
            row |= _ends("slope", fit.slope) | _ends("r_squared", fit.r_squared)
            row |= _ends("rank", fit.rank) | _ends("rank_at_longest", fit.rank_at_longest)
        if made.joint is not None and standing.label in joint:
            at = joint[standing.label]
            ends = Interval(*(np.asarray(end)[at] for end in made.joint.coefficients))
            row |= _ends("joint_coefficient", ends)
        rows.append(row)
    return rows


def joint_rows(name: str, estimator: str, made: Standings) -> list[dict[str, Any]]:
    """The coefficient of determination of all explanations together."""
    if made.joint is None:
        return []
    ends = _ends("r_squared", made.joint.r_squared)
    place = {"configuration": name, "estimator": estimator}
    return [place | {"explanations": len(made.joint.labels), **ends}]


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: float(interval.value),
        f"{name}_low": float(interval.low),
        f"{name}_high": float(interval.high),
    }
