"""What the figures and tables ask of the operators of inner steps."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from hessdiag.report.probes import labels

RADIUS = "operator_radius_minus_one"
NORM = "product_norm_minus_one"
EXACT = ("update", "augmented")
"""The operators that are Jacobians of the update itself."""

_OPERATOR = ("operator_unroll", "inner_step", "operator")


def operator_names(probes: Sequence[xr.Dataset], variable: str = RADIUS) -> list[str]:
    """The operators that some probe holds the variable for, in order of first appearance."""
    return labels([probe for probe in probes if variable in probe], "operator")


def of_operator(probe: xr.Dataset, variable: str, name: str) -> np.ndarray:
    """What a probe says of one operator.

    Args:
        probe: One probe.
        variable: Of dimensions operator_unroll, inner_step, operator and perhaps one more.
        name: The operator.

    Returns:
        Values by unroll, inner step and the further dimension; NaN where the probe has none.
    """
    names = probe["operator"].values.astype(str).tolist() if "operator" in probe.coords else []
    if variable not in probe or name not in names:
        return np.full([probe.sizes.get(dimension, 0) for dimension in _OPERATOR[:2]], np.nan)
    array = probe[variable].transpose(*_OPERATOR, ...)
    return array.values[:, :, names.index(name)]


def shown_error(
    value: np.ndarray, bound: np.ndarray, estimate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The error that tells a reader more: the bound, unless it says nothing.

    A bound says nothing where it is infinite, or beyond both the value and twice the first-order
    error.

    Args:
        value: What was measured.
        bound: Bounds on its error.
        estimate: First-order errors, no bounds; NaN where there are none.

    Returns:
        The errors, and where they are the bounds.
    """
    telling = bound <= np.fmax(2 * estimate, np.abs(value))
    bounded = np.isfinite(bound) & (telling | ~np.isfinite(estimate))
    return np.where(bounded, bound, estimate), bounded


def certainty(probe: xr.Dataset, name: str) -> np.ndarray:
    """How far it is settled on which side of one the spectral radius lies.

    Args:
        probe: One probe.
        name: The operator.

    Returns:
        2 by the bound on the error, 1 to first order only, 0 not at all; by unroll and inner step.
    """
    words = (f"operator_exceeds_one{suffix}" for suffix in ("", "_first_order"))
    by_bound, first_order = (
        np.isin(of_operator(probe, word, name).astype(str), ("yes", "no")) for word in words
    )
    return np.where(by_bound, 2, np.where(first_order, 1, 0))


def relative_departure(probe: xr.Dataset) -> xr.Dataset:
    """A probe with the departure from normality, and its standard error, over the norm.

    Args:
        probe: One probe; it is returned as it is if it lacks one of the two.
    """
    if not {"departure", "operator_frobenius"} <= set(probe):
        return probe
    size = probe["operator_frobenius"]
    there = {"": "departure", "_se": "departure_se"}
    relative = {
        f"relative_departure{suffix}": probe[name] / size.where(size != 0)
        for suffix, name in there.items()
        if name in probe
    }
    return probe.assign(relative)


def products_of_radii(probe: xr.Dataset) -> xr.Dataset:
    """A probe with the products of spectral radii over the steps of each term, minus one.

    Args:
        probe: One probe; it is returned as it is if it lacks the radii or the norms.

    Returns:
        The probe with `radius_product_minus_one` by unroll, term and operator.
    """
    if not {RADIUS, NORM} <= set(probe):
        return probe
    factors = 1 + probe[RADIUS].transpose(*_OPERATOR).values
    last_first = np.concatenate([np.ones_like(factors[:, :1]), factors[:, :0:-1]], axis=1)
    with np.errstate(invalid="ignore"):  # what is not a number stays none
        products = np.cumprod(last_first, axis=1) - 1
    return probe.assign(
        radius_product_minus_one=(("operator_unroll", "term", "operator"), products)
    )
