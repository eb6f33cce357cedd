"""What mixing does to the growth, measured and as the n-step meta-gradients let expect."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray

from hessdiag.analysis.average import over_seeds
from hessdiag.analysis.cells import CellResult
from hessdiag.analysis.moments import phases
from hessdiag.meta import mix_weights
from hessdiag.statistics import mixed_growth

CURVES = ("n-step", "mix", "mix if independent", "mix if coherent")


def mixing_rows(
    name: str, results: Sequence[CellResult], *, confidence: float
) -> list[dict[str, Any]]:
    """Growth of the mixes: measured, and from that of the n-step ones, independent or as one."""
    kappa = results[0].cell.settings.kappa
    rows = []
    for when, chosen in phases(results):
        measured = [[p for p in probes if "growth" in p] for probes in chosen]
        first = next((p for probes in measured for p in probes), None)
        if first is None:
            continue
        weights = [mix_weights(i, kappa) for i in range(1, first.sizes["horizon"] + 1)]
        curves = [[_curves(probe, weights) for probe in probes] for probes in measured]
        for curve in CURVES:
            values = [[np.log(of_probe[curve]) for of_probe in probes] for probes in curves]
            for k, horizon in enumerate(first.horizon.values.tolist()):
                at = [[float(growth[k]) for growth in probes] for probes in values]
                average = over_seeds(at, confidence=confidence)
                rows.append(
                    {
                        "configuration": name,
                        **when,
                        "curve": curve,
                        "horizon": horizon,
                        **average.geometric("growth"),
                        "over": average.over,
                        "count": average.count,
                    }
                )
    return rows


def _curves(probe: xarray.Dataset, weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    steps, mix = (probe.growth.sel(estimator=name).values for name in ("n-step", "mix"))
    expected = [mixed_growth(steps, weights, coherent=coherent) for coherent in (False, True)]
    return dict(zip(CURVES, (steps, mix, *expected), strict=True))
