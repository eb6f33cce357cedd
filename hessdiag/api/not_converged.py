"""Which numbers along an inner loop are not as exact as was asked for."""

import numpy as np
import xarray

from hessdiag.api.places import named


def not_converged(data: xarray.Dataset) -> list[str]:
    """Sentences about what missed the tolerance or is in doubt; none if nothing is.

    Args:
        data: The dataset of an `InnerLoopResult`.
    """
    hessians = data.isel(unroll=0)
    sentences = _missed("Hessian", hessians, "converged", "hessian_max")
    apart = hessians["start_disagreement"].values
    if (apart > 1).any():
        place = named("inner step", hessians["inner_step"].values[apart > 1])
        sentences.append(
            f"Hessian: starts found other ends at {place}, up to {np.nanmax(apart):.2g} times "
            "their errors apart: one has missed an end."
        )
    for k, name in enumerate(data["operator"].values):
        own = data.isel(operator=k, operator_unroll=0)
        if name != "paper":  # whose radius is the Hessian's
            sentences += _missed(name, own, "operator_converged", "operator_radius_minus_one")
        if "product_converged" in own:
            sentences += _missed(name, own, "product_converged", "product_norm_minus_one")
    return sentences


def _missed(what: str, data: xarray.Dataset, flag: str, value: str) -> list[str]:
    """A sentence about the places where a finite value has not converged."""
    places = data[data[flag].dims[0]]
    missed = (data[flag].values == 0) & np.isfinite(data[value].values)
    if not missed.any():
        return []
    place = named(str(places.name).replace("_", " "), places.values[missed])
    return [f"{what}: tolerance not met at {place}; a larger max_matvecs may."]
