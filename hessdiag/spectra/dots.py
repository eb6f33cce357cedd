"""Sums over long vectors on the host, so that their rounding does not pass for anything else."""

import numpy as np

_SHORT = 1024  # terms of a sum in the vectors' own precision


def range_dots(left: np.ndarray, right: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The products left'right by range of entries, each from its offset to the next; in float64."""
    return np.add.reduceat(np.multiply(left, right, dtype=np.float64), offsets)


def dot(left: np.ndarray, right: np.ndarray) -> float:
    """The sum of short sums, in float64: rounding of long ones would pass for asymmetry."""
    whole = left.size // _SHORT * _SHORT
    rows = left[:whole].reshape(-1, 1, _SHORT), right[:whole].reshape(-1, _SHORT, 1)
    return float(np.sum(rows[0] @ rows[1], dtype=np.float64) + left[whole:] @ right[whole:])


def length(vector: np.ndarray) -> float:
    """Euclidean, also where squares underflow or overflow."""
    with np.errstate(over="ignore", under="ignore"):
        square = dot(vector, vector)
    if 1e-20 < square < 1e30 or not np.isfinite(unit := float(np.max(np.abs(vector), initial=0))):
        return float(np.sqrt(square))
    return unit and unit * float(np.sqrt(dot(vector / unit, vector / unit)))
