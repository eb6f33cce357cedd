"""What several numbers say together, of which some, or all, may not be finite."""

import numpy as np


def median(values: np.ndarray) -> float:
    """Of the finite ones; NaN where there is none."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def largest(values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """The largest of the finite ones with its error; NaN where there is none."""
    flat = np.ravel(values)
    if not np.isfinite(flat).any():
        return np.nan, np.nan
    place = int(np.argmax(np.where(np.isfinite(flat), flat, -np.inf)))
    return float(flat[place]), float(np.ravel(errors)[place])
