"""Explanations against the measurement over all probes of a configuration."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from hessdiag.analysis.comparisons import Evidence
from hessdiag.analysis.contest import Contest, Standing, contest
from hessdiag.analysis.fit import fits
from hessdiag.statistics import Interval

RESAMPLES = 2000
FITTED = ("slope", "r_squared", "r_squared_within", "rank", "rank_at_longest")


class Standings(NamedTuple):
    """The outcome for one configuration."""

    contest: Contest | None
    yardstick: Standing | None  # how close the measured sensitivity comes
    noise: float  # rms standard error of the logarithm of the measured growth


def standings(of: Evidence, *, confidence: float) -> Standings:
    """Who predicts the growth best."""

    def judged(predicted, noise: float = 0.0) -> Contest | None:
        how = {"confidence": confidence, "resamples": RESAMPLES, "rng": np.random.default_rng(0)}
        return contest(of.measured, predicted, of.seeds, noise=noise, **how)

    noise = _noise(of, confidence)
    decided, beside = judged(of.predicted, noise), judged(of.yardstick)
    return Standings(decided, beside.standings[0] if beside else None, noise)


def _noise(of: Evidence, confidence: float) -> float:
    """Rms standard error of the logarithm of the measured growth, from its intervals."""
    low, high = np.log(of.ends)
    errors = (high - low) / (2.0 * ndtri(0.5 + confidence / 2.0))
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


def standing_tables(of: Evidence, *, confidence: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row per explanation, the closest first, and one of all of them together.

    Before the explanations stands the measured sensitivity. Beside how close each comes stands how
    it follows the measurement, alone and jointly.
    """
    alone, joint = fits(
        *(of.measured, of.predicted, of.seeds),
        **{"confidence": confidence, "resamples": RESAMPLES, "rng": np.random.default_rng(1)},
    )
    fitted = {
        fit.label: {
            key: end for name in FITTED for key, end in _ends(name, getattr(fit, name)).items()
        }
        for fit in alone
    }
    together = []
    if joint:
        together = [{"explanations": len(joint.labels)} | _ends("r_squared", joint.r_squared)]
        for label, *ends in zip(joint.labels, *joint.coefficients, strict=True):
            fitted[label] |= _ends("joint_coefficient", Interval(*ends))
    decided, yardstick, _ = standings(of, confidence=confidence)
    rows = [_errors(yardstick)] if yardstick else []
    for standing in decided.standings if decided else ():
        rows.append(_errors(standing) | {"wins": standing.wins} | fitted.get(standing.label, {}))
    return pd.DataFrame(rows), pd.DataFrame(together)


def _errors(standing: Standing) -> dict[str, float | str]:
    errors = _ends("log_error", standing.log_error) | _ends("calibration", standing.bias)
    return {"explanation": standing.label, **errors}


def _ends(name: str, interval: Interval) -> dict[str, float]:
    ends = zip(("", "_low", "_high"), interval, strict=True)
    return {f"{name}{suffix}": float(end) for suffix, end in ends}
