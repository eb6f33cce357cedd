"""Labelled variables: how measurements become the arrays of a dataset."""

from collections.abc import Sequence

import numpy as np

Variables = dict[str, tuple[tuple[str, ...], np.ndarray, str, str]]
"""Name -> dimensions, values, long name, units."""


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
