"""What to know of the numbers along an inner loop: where none is finite, and what is in doubt."""

from collections.abc import Iterator

import numpy as np
import xarray

from hessdiag.spectra.checks import SYMMETRY_LIMIT

_LOSS = "the loss or a derivative of it is not finite there."
_UPDATE = (
    "there the derivative of the optimiser or of the clipping is not finite. Square and cube roots "
    "have slope zero at zero here, but powers and quotients do not: a constant inside makes them "
    "finite, and changes the step."
)


def not_finite(data: xarray.Dataset) -> list[str]:
    """Sentences about products of an `InnerLoopResult` that were not finite, one for each cause."""
    sound = np.isfinite(data["hessian_max"].isel(unroll=0).values)
    defects = data["symmetry_defect"].isel(unroll=0).values
    # what was not refused has less: the products themselves are not finite
    asymmetric = ~sound & (defects > SYMMETRY_LIMIT * np.finfo(data.attrs["dtype"]).eps)
    sentences = []
    if "loss" in data and not (defined := np.isfinite(data["loss"].values)).all():
        place, value = _named(data["inner_step"], ~defined), data["loss"].values[~defined][0]
        sentences.append(
            f"The loss is {value} at {place}: its derivatives, finite or not, are of no function."
        )
    if (~sound & ~asymmetric).any():
        place = _named(data["inner_step"], ~sound & ~asymmetric)
        sentences.append(f"Hessian: no finite product at {place}: {_LOSS}")
    if asymmetric.any():
        place = _named(data["inner_step"], asymmetric)
        sentences.append(
            f"Hessian: not symmetric at {place}, by {np.max(defects[asymmetric]):.1e} of its norm: "
            "a rule of a derivative in the loss is wrong, or its products are mostly rounding."
        )
    for place, names in _failures(data, sound).items():
        sentences.append(f"{', '.join(names)}: no finite product at {place}: {_UPDATE}")
    return sentences


def not_converged(data: xarray.Dataset) -> list[str]:
    """Sentences about what of such a dataset missed the tolerance or is in doubt."""
    hessians = data.isel(unroll=0)
    sentences = _missed("Hessian", hessians, "converged", "hessian_max")
    apart = hessians["start_disagreement"].values
    if (apart > 1).any():
        sentences.append(
            f"Hessian: starts found other ends at {_named(hessians['inner_step'], apart > 1)}, up "
            f"to {np.nanmax(apart):.2g} times their errors apart: one has missed an end."
        )
    for name, operator in _operators(data):
        if name != "paper":  # whose radius is the Hessian's
            sentences += _missed(name, operator, "operator_converged", "operator_radius_minus_one")
        if "product_converged" in operator:
            sentences += _missed(name, operator, "product_converged", "product_norm_minus_one")
    return sentences


def _operators(data: xarray.Dataset) -> Iterator[tuple[str, xarray.Dataset]]:
    for k, name in enumerate(data["operator"].values):
        yield str(name), data.isel(operator=k, operator_unroll=0)


def _failures(data: xarray.Dataset, sound: np.ndarray) -> dict[str, list[str]]:
    """Where operators failed whose Hessian did not -> their names."""
    failures: dict[str, list[str]] = {}
    for name, operator in _operators(data):
        places = operator["inner_step"]
        failed = sound & ~np.isfinite(operator["operator_radius_minus_one"].values)
        if sound.all() and not failed.any() and "product_norm_minus_one" in operator:
            places = operator["term"]  # the transposed product
            failed = ~np.isfinite(operator["product_norm_minus_one"].values)
        if failed.any():
            failures.setdefault(_named(places, failed), []).append(name)
    return failures


def _missed(what: str, data: xarray.Dataset, flag: str, value: str) -> list[str]:
    """A sentence about the places where a finite value has not converged."""
    missed = (data[flag].values == 0) & np.isfinite(data[value].values)
    if not missed.any():
        return []
    place = _named(data[data[flag].dims[0]], missed)
    return [f"{what}: tolerance not met at {place}; a larger max_matvecs may."]


def _named(places: xarray.DataArray, chosen: np.ndarray) -> str:
    """Such as "inner steps 0, 2"."""
    what, numbers = str(places.name).replace("_", " "), places.values[chosen]
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
