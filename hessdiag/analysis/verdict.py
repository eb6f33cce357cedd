"""Sentences that say what the numbers of a run's probes say; no number is written by hand."""

from collections.abc import Sequence

import numpy as np
import xarray

from hessdiag.analysis.contest import SAME
from hessdiag.probes.explanations.explanations import SPECTRAL
from hessdiag.statistics.correlation import Correlation, rank_correlation


def correlations(probes: Sequence[xarray.Dataset]) -> dict[str, Correlation]:
    """Over probes, the rank correlation of the measured growth at n with every prediction of it."""
    probes = _usable(probes)
    if not probes:
        return {}
    measured = np.array([float(_measured(probe)["growth"]) for probe in probes])
    found = {}
    for label in probes[0].explanation.values:
        predicted = np.array([_predicted(probe, label) for probe in probes])
        if not np.isfinite(predicted).all():
            continue
        level = float(probes[0].attrs["confidence"])
        correlation = rank_correlation(predicted, measured, confidence=level)
        if correlation is not None:
            found[str(label)] = correlation
    return found


def finding(probes: Sequence[xarray.Dataset]) -> list[str]:
    """What the probes of a run say about the published explanation, a sentence each."""
    if not any("growth" in probe for probe in probes):
        return ["No meta-gradient was measured: nothing can be said about its variance."]
    probes = _usable(probes)
    if not probes:
        return [
            "The 1-step meta-gradient did not vary at any probe: there is no growth to explain."
        ]
    n = int(probes[-1].horizon[-1])
    if n == 1:
        return ["With n = 1 there is no growth to explain: the 1-step estimator is the base."]
    return [
        _growth_sentence(probes, n),
        _radius_sentence(probes),
        _prediction_sentence(probes, n),
        _nearest_sentence(probes, n),
        _correlation_sentence(correlations(probes)),
    ]


def _usable(probes: Sequence[xarray.Dataset]) -> list[xarray.Dataset]:
    """The probes at which a growth was measured."""
    return [p for p in probes if "growth" in p and bool(np.isfinite(p.growth).all())]


def _measured(probe: xarray.Dataset) -> xarray.Dataset:
    """Growth of the n-step estimator at the longest horizon, with its ends."""
    return probe[["growth", "growth_low", "growth_high"]].sel(estimator="n-step").isel(horizon=-1)


def _predicted(probe: xarray.Dataset, label: str) -> float:
    return float(probe.prediction.sel(explanation=label).isel(horizon=-1))


def _growth_sentence(probes, n: int) -> str:
    growth = np.array([float(_measured(probe).growth) for probe in probes])
    sure = sum(float(_measured(probe).growth_low) > 1.0 for probe in probes)
    when = _iterations(probes)
    return (
        f"At {len(probes)} probes ({when}) the standard deviation of the {n}-step meta-gradient "
        f"was {_span(growth)} times that of the 1-step one (median {np.median(growth):.2g}); the "
        f"confidence interval lies above 1 at {sure} of them."
    )


def _radius_sentence(probes) -> str:
    radius = np.concatenate([p.spectral_radius_minus_one.values.ravel() for p in probes])
    error = np.concatenate([p.spectral_radius_minus_one_error.values.ravel() for p in probes])
    above = np.concatenate([p.exceeds_one.values.ravel() for p in probes])
    at = int(np.nanargmax(radius))
    return (
        f"The spectral radius of I + H_j exceeded one by {radius[at]:.2g} ± {error[at]:.1g} at "
        f"the most (median {np.median(radius):.2g}); it was certainly above one at "
        f"{np.sum(above == 'yes')} of {above.size} inner steps measured, undecided at "
        f"{np.sum(above == 'undecided')}."
    )


def _prediction_sentence(probes, n: int) -> str:
    predicted = np.array([_predicted(probe, SPECTRAL) for probe in probes])
    growth = np.array([float(_measured(probe).growth) for probe in probes])
    radii = np.median(predicted) / n
    share = np.median(np.log(predicted / n) / np.log(np.where(growth > 0, growth, np.nan)))
    outside = [_outside(probe, SPECTRAL) for probe in probes]
    same = (
        " So close to n, the prediction cannot be told from mere accumulation (E3, coherent): "
        "where it fits, it is the number of terms that fits, not the spectral radius."
        if np.abs(predicted / n - 1.0).max() < SAME
        else ""
    )
    return (
        f"From these radii the published explanation (E1) predicts a growth of {_span(predicted)}; "
        f"{n} of it is the mere number of terms, and the radii themselves multiply it by "
        f"{radii:.6g}, which is {100 * share:.2g} % of the measured log-growth (medians). The "
        f"prediction lies above the confidence interval of the measured growth at "
        f"{outside.count('above')} probes, below it at {outside.count('below')}, inside at "
        f"{outside.count('inside')}.{same}"
    )


def _nearest_sentence(probes, n: int) -> str:
    """Which explanation the measured growth at n agrees with most often."""
    labels = [str(label) for label in probes[0].explanation.values]
    inside = {
        label: sum(_outside(probe, label) == "inside" for probe in probes) for label in labels
    }
    listed = ", ".join(f"{label} {count}" for label, count in inside.items())
    best = max(inside.values())
    if best <= len(probes) / 2:
        return (
            f"No explanation considered here agrees with the growth at n = {n} at more than half "
            f"of the {len(probes)} probes (inside the interval: {listed}): not decided."
        )
    winners = [label for label, count in inside.items() if count == best]
    return (
        f"At n = {n} the measured growth agrees most often with {' and '.join(winners)} (inside "
        f"the interval, of {len(probes)} probes: {listed})."
    )


def _correlation_sentence(found: dict[str, Correlation]) -> str:
    if SPECTRAL not in found:
        return (
            "Over probes, the rank correlation of the measured growth with E1's prediction is not "
            "decided: too few probes, or no variation."
        )
    rho = found[SPECTRAL]
    decided = "" if rho.low > 0 or rho.high < 0 else ", so that its sign is not decided"
    return (
        f"Over {rho.points} probes the rank correlation of the measured growth with E1's "
        f"prediction is {rho.value:.2f} [{rho.low:.2f}, {rho.high:.2f}]{decided}."
    )


def _outside(probe: xarray.Dataset, label: str) -> str:
    """Whether a prediction lies above, below or inside the measured confidence interval."""
    measured, predicted = _measured(probe), _predicted(probe, label)
    if np.isnan(predicted):
        return "nowhere"
    if predicted > float(measured.growth_high):
        return "above"
    return "below" if predicted < float(measured.growth_low) else "inside"


def _span(values: np.ndarray) -> str:
    """The range of some values, or the value where they agree to the digits shown."""
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _iterations(probes) -> str:
    first, last = (int(probe.attrs["iteration"]) for probe in (probes[0], probes[-1]))
    return f"iteration {first}" if first == last else f"iterations {first} to {last}"
