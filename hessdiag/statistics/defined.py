"""Averages over what is defined."""

import numpy as np


def mean_defined(values: np.ndarray, *, axis: int) -> np.ndarray:
    """The mean of the finite entries along an axis; NaN where there is none, without a warning."""
    finite = np.isfinite(values)
    number = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
