"""Where along an inner loop products were not finite, and where that comes from."""

import numpy as np
import xarray

from hessdiag.api.places import named

_LOSS = "the loss or a derivative of it is not finite there."
_UPDATE = (
    "there the derivative of the optimiser or of the clipping is not finite. Square and cube roots "
    "have slope zero at zero here, but powers and quotients do not: a constant inside makes them "
    "finite, and changes the step."
)


def not_finite(data: xarray.Dataset) -> list[str]:
    """Sentences about products that were not finite, one for each cause; none if all were.

    Args:
        data: The dataset of an `InnerLoopResult`.
    """
    sound = np.isfinite(data["hessian_max"].isel(unroll=0).values)
    steps = data["inner_step"].values
    sentences = []
    if not sound.all():
        place = named("inner step", steps[~sound])
        sentences.append(f"Hessian: no finite product at {place}: {_LOSS}")
    for place, names in _failures(data, sound).items():
        sentences.append(f"{', '.join(names)}: no finite product at {place}: {_UPDATE}")
    return sentences


def _failures(data: xarray.Dataset, sound: np.ndarray) -> dict[str, list[str]]:
    """Where operators failed whose Hessian did not -> their names."""
    found: dict[str, list[str]] = {}
    for k, name in enumerate(data["operator"].values):
        own = data.isel(operator=k, operator_unroll=0)
        failed = sound & ~np.isfinite(own["operator_radius_minus_one"].values)
        place = named("inner step", own["inner_step"].values[failed])
        if sound.all() and not failed.any() and "product_norm_minus_one" in own:
            failed = ~np.isfinite(own["product_norm_minus_one"].values)  # the transposed product
            place = named("term", own["term"].values[failed])
        if failed.any():
            found.setdefault(place, []).append(str(name))
    return found
