"""Least squares from sums of products over clusters of points."""

from typing import NamedTuple

import numpy as np

FLAT = 1e-12  # relative variation of a prediction below which it explains no variation
SINGULAR = 1e-6  # below this share of the largest variation, two predictions are one


class Moments(NamedTuple):
    """Sums of products of (x…, y)."""

    centred: np.ndarray  # about their means
    raw: np.ndarray  # as they are


def gram(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(H, …) sums of products of (1, x…, y) over the probes of a cluster, horizon by horizon."""
    columns = np.concatenate([np.ones((*y.shape, 1)), x, y[..., None]], axis=-1)
    return np.einsum("phi,phj->hij", columns, columns)


def pooled(grams: np.ndarray) -> Moments:
    """Of all horizons together, about one mean: how the growth rises with n counts."""
    return _moments(grams.sum(axis=-3))


def within(grams: np.ndarray) -> Moments:
    """About each horizon's own mean: what is left is how probes differ."""
    return Moments(*(sums.sum(axis=-3) for sums in _moments(grams)))


def _moments(sums: np.ndarray) -> Moments:
    count, raw = sums[..., 0, 0], sums[..., 1:, 1:]
    mean = sums[..., 0, 1:] / count[..., None]
    about = count[..., None, None] * mean[..., :, None] * mean[..., None, :]
    return Moments(raw - about, raw)


def solved(sums: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (…, L) and R² (…) of y on x with intercepts, from sums of products."""
    about, raw = (np.diagonal(moments, axis1=-2, axis2=-1) for moments in sums)
    varies, y_varies = (about > FLAT * raw)[..., :-1], (about > FLAT * raw)[..., -1]
    xx, xy, yy = sums.centred[..., :-1, :-1], sums.centred[..., :-1, -1], about[..., -1]
    xx = np.where(varies[..., :, None] & varies[..., None, :], xx, 0.0)
    inverse = np.linalg.pinv(xx, rcond=SINGULAR, hermitian=True)
    coefficients = np.einsum("...ij,...j->...i", inverse, xy)
    coefficients = np.where(varies, coefficients, np.nan)
    explained = np.einsum("...i,...i->...", np.nan_to_num(coefficients), xy)
    defined = varies.any(axis=-1) & y_varies
    return coefficients, np.where(defined, explained / np.where(y_varies, yy, 1.0), np.nan)
