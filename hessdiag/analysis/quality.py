"""How far the numbers of probes can be trusted, counted."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hessdiag.analysis.measured import Configuration

APART = 1.0  # start vectors whose ends differ by more than the sum of their errors


def quality_table(of: Configuration) -> pd.DataFrame:
    """A row per kind of doubt: how many measurements are concerned, of how many, how badly."""
    probes = of.probes
    rows = [row for part in (_spectra, _operators, _samples) for row in part(probes)]
    return pd.DataFrame(rows)


def _spectra(probes: xr.Dataset) -> Iterator[dict[str, Any]]:
    if "converged" in probes:
        yield _counted("ends", probes.converged == 0, probes.matvecs.max())
    if "start_disagreement" in probes:
        apart = probes.start_disagreement
        yield _counted("starts", apart > APART, apart.max())
    if "exceeds_one" in probes:
        error = probes.spectral_radius_minus_one_error
        yield _counted("sign", probes.exceeds_one == "undecided", error.max())


def _operators(probes: xr.Dataset) -> Iterator[dict[str, Any]]:
    for kind, cost in (("operator", "operator_matvecs"), ("product", "product_matvecs")):
        if f"{kind}_converged" in probes:
            yield _counted(f"{kind}s", probes[f"{kind}_converged"] == 0, probes[cost].max())


def _samples(probes: xr.Dataset) -> Iterator[dict[str, Any]]:
    read = ("growth", "std", "hessian_max", "hessian_min", "cut_growth")
    if there := [probes[name].transpose("probe", ...).values for name in read if name in probes]:
        good = [np.isfinite(values).reshape(len(values), -1).all(axis=1) for values in there]
        count = int((~np.all(good, axis=0)).sum())
        yield {"quantity": "finite", "count": count, "of": probes.sizes["probe"]}
    if "samples" in probes:
        samples = float(probes.samples.min())
        yield {"quantity": "samples", "count": 0, "of": probes.sizes["probe"], "worst": samples}


def _counted(quantity: str, concerned: xr.DataArray, worst: xr.DataArray) -> dict[str, Any]:
    numbers = {"count": int(concerned.sum()), "of": int(concerned.size), "worst": float(worst)}
    return {"quantity": quantity, **numbers}
