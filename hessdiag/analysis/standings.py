"""Explanations against the measurement over all probes of a configuration."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray
from scipy.stats import norm

from hessdiag.analysis.cells import CellResult
from hessdiag.analysis.contest import Contest, Standing, contest
from hessdiag.analysis.fit import Fit, JointFit, fits
from hessdiag.analysis.moments import KEPT, phase_of
from hessdiag.meta import mix_weights
from hessdiag.statistics import Interval, mixed_growth

RESAMPLES = 2000
SENSITIVITY = "measured |∂θ/∂η|"


class Evidence(NamedTuple):
    """What is compared: P probes at H horizons beyond the first."""

    horizons: list[int]
    estimator: str
    measured: np.ndarray  # (P, H) growth of its meta-gradients
    predicted: dict[str, np.ndarray]  # (P, H) by explanation
    seeds: list[int]  # (P,)
    places: list[dict[str, Any]]  # (P,) seed, iteration and phase
    yardstick: Mapping[str, np.ndarray]  # (P, H) the measured sensitivity; no prediction
    ends: np.ndarray | None = None  # (2, P, H) of the intervals of the measured growth


class Standings(NamedTuple):
    """The outcome for one configuration."""

    contest: Contest | None
    fits: list[Fit]
    joint: JointFit | None
    yardstick: Standing | None = None


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
    sensitivity = _sensitivity(probes)
    if estimator == "mix":
        kappa = results[0].cell.settings.kappa
        weights = [mix_weights(i, kappa) for i in range(1, predicted.shape[-1] + 1)]
        predicted, sensitivity = (
            mixed_growth(growth, weights, coherent=False) for growth in (predicted, sensitivity)
        )
    spoke = np.min(np.isfinite(predicted), axis=0)  # (E, n)
    silent = ~spoke.any(axis=1, keepdims=True)
    last = spoke.shape[1] - 1
    wanted = [k for k in range(1, last + 1) if k + 1 in KEPT or k == last]
    horizons = [k for k in wanted if (spoke | silent)[:, k].all()]
    if not horizons:
        return None
    measured, *ends = (
        np.stack([p[name].sel(estimator=estimator).values for p in probes])
        for name in ("growth", "growth_low", "growth_high")
    )
    return Evidence(
        [int(probes[0].horizon[k]) for k in horizons],
        estimator,
        measured[:, horizons],
        {label: predicted[:, e][:, horizons] for e, label in enumerate(labels)},
        seeds,
        places,
        {SENSITIVITY: sensitivity[:, horizons]},
        np.stack(ends)[..., horizons],
    )


def _sensitivity(probes: Sequence[xarray.Dataset]) -> np.ndarray:
    """(P, n) growth of |∂θ^(i)/∂η|, which E1 to E5 are about; NaN where it was not measured."""
    unknown = np.full(probes[0].sizes["horizon"], np.nan)
    return np.stack(
        [
            p.sensitivity_growth.mean("sensitivity_sample").values
            if "sensitivity_growth" in p
            else unknown
            for p in probes
        ]
    )


def standings(found: Evidence, *, confidence: float) -> Standings:
    """Who predicts the growth best, and how each prediction follows it."""
    options = {"confidence": confidence, "resamples": RESAMPLES}
    at = (found.measured, found.predicted, found.seeds)
    alone, joint = fits(*at, rng=np.random.default_rng(1), **options)
    noise = _noise(found, confidence)
    decided = contest(*at, rng=np.random.default_rng(0), noise=noise, **options)
    measured = contest(
        found.measured, found.yardstick, found.seeds, rng=np.random.default_rng(0), **options
    )
    return Standings(decided, alone, joint, measured.standings[0] if measured else None)


def _noise(found: Evidence, confidence: float) -> float:
    """Rms standard error of the logarithm of the measured growth, from its intervals."""
    if found.ends is None:
        return 0.0
    low, high = np.log(found.ends)
    errors = (high - low) / (2.0 * norm.ppf(0.5 + confidence / 2.0))
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


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
            **_measured_ends(found, p, h),
        }
        for label, values in (found.predicted | dict(found.yardstick)).items()
        for p, place in enumerate(found.places)
        for h, horizon in enumerate(found.horizons)
        if np.isfinite(values[p, h])
    ]


def _measured_ends(found: Evidence, probe: int, horizon: int) -> dict[str, float]:
    if found.ends is None:
        return {}
    low, high = found.ends[:, probe, horizon]
    return {"measured_low": float(low), "measured_high": float(high)}


def standing_rows(name: str, estimator: str, made: Standings) -> list[dict[str, Any]]:
    """One row per explanation, the closest first; before them the measured sensitivity."""
    place = {"configuration": name, "estimator": estimator}
    by_label = {fit.label: fit for fit in made.fits}
    joint = {}
    if made.joint is not None:
        joint = {label: k for k, label in enumerate(made.joint.labels)}
    rows = []
    if made.yardstick is not None:
        rows.append(place | _errors(made.yardstick))
    for standing in made.contest.standings if made.contest else ():
        row: dict[str, Any] = place | _errors(standing) | {"wins": standing.wins}
        fit = by_label.get(standing.label)
        if fit is not None:
            row |= _ends("slope", fit.slope) | _ends("r_squared", fit.r_squared)
            row |= _ends("r_squared_within", fit.r_squared_within)
            row |= _ends("rank", fit.rank) | _ends("rank_at_longest", fit.rank_at_longest)
        if made.joint is not None and standing.label in joint:
            at = joint[standing.label]
            ends = Interval(*(np.asarray(end)[at] for end in made.joint.coefficients))
            row |= _ends("joint_coefficient", ends)
        rows.append(row)
    return rows


def _errors(standing: Standing) -> dict[str, Any]:
    errors = _ends("log_error", standing.log_error) | _ends("calibration", standing.bias)
    return {"explanation": standing.label, **errors}


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
