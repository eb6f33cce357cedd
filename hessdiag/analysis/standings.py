"""Explanations against the measurement over all probes of a configuration."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from hessdiag.analysis.comparisons import Evidence
from hessdiag.analysis.contest import Contest, Standing, contest
from hessdiag.analysis.fit import Fit, JointFit, fits
from hessdiag.statistics import Interval

RESAMPLES = 2000


class Standings(NamedTuple):
    """The outcome for one configuration."""

    contest: Contest | None
    fits: list[Fit]
    joint: JointFit | None
    yardstick: Standing | None  # how close the measured sensitivity comes
    noise: float  # rms standard error of the logarithm of the measured growth


def standings(found: Evidence, *, confidence: float) -> Standings:
    """Who predicts the growth best, and how each prediction follows it."""
    options = {"confidence": confidence, "resamples": RESAMPLES}
    compared = (found.measured, found.predicted, found.seeds)
    alone, joint = fits(*compared, rng=np.random.default_rng(1), **options)
    noise = _noise(found, confidence)
    decided = contest(*compared, rng=np.random.default_rng(0), noise=noise, **options)
    measured = contest(
        found.measured, found.yardstick, found.seeds, rng=np.random.default_rng(0), **options
    )
    return Standings(decided, alone, joint, measured.standings[0] if measured else None, noise)


def _noise(found: Evidence, confidence: float) -> float:
    """Rms standard error of the logarithm of the measured growth, from its intervals."""
    low, high = np.log(found.ends)
    errors = (high - low) / (2.0 * norm.ppf(0.5 + confidence / 2.0))
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


def standing_table(made: Standings) -> pd.DataFrame:
    """One row per explanation, the closest first; before them the measured sensitivity."""
    rows = [] if made.yardstick is None else [_errors(made.yardstick)]
    fitted = {fit.label: _fit(fit) for fit in made.fits}
    joint = _coefficients(made.joint)
    for standing in made.contest.standings if made.contest else ():
        label = standing.label
        rows.append(
            _errors(standing)
            | {"wins": standing.wins}
            | fitted.get(label, {})
            | joint.get(label, {})
        )
    return pd.DataFrame(rows)


def joint_table(made: Standings) -> pd.DataFrame:
    """The coefficient of determination of all explanations together."""
    if made.joint is None:
        return pd.DataFrame()
    explanations = {"explanations": len(made.joint.labels)}
    return pd.DataFrame([explanations | _ends("r_squared", made.joint.r_squared)])


def _errors(standing: Standing) -> dict[str, Any]:
    errors = _ends("log_error", standing.log_error) | _ends("calibration", standing.bias)
    return {"explanation": standing.label, **errors}


def _fit(fit: Fit) -> dict[str, float]:
    names = ("slope", "r_squared", "r_squared_within", "rank", "rank_at_longest")
    return {key: end for name in names for key, end in _ends(name, getattr(fit, name)).items()}


def _coefficients(joint: JointFit | None) -> Mapping[str, dict[str, float]]:
    if joint is None:
        return {}
    return {
        label: _ends("joint_coefficient", Interval(*(end[k] for end in joint.coefficients)))
        for k, label in enumerate(joint.labels)
    }


def _ends(name: str, interval: Interval) -> dict[str, float]:
    ends = zip(("", "_low", "_high"), interval, strict=True)
    return {f"{name}{suffix}": float(end) for suffix, end in ends}
