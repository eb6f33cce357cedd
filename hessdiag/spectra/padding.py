"""Vectors of unequal lengths as arrays."""

from collections.abc import Sequence

import numpy as np


def padded(nested: Sequence, depth: int) -> np.ndarray:
    """Vectors of unequal lengths as one array, padded with NaN.

    Args:
        nested: Lists, `depth` deep, of vectors.
        depth: Number of leading dimensions.
    """
    shape, rows = [len(nested)], list(nested)
    for _ in range(depth - 1):
        shape.append(len(rows[0]))
        rows = [entry for row in rows for entry in row]
    filled = np.full((len(rows), max(map(len, rows))), np.nan)
    for line, row in zip(filled, rows, strict=True):
        line[: len(row)] = row
    return filled.reshape(*shape, -1)
