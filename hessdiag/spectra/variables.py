"""Labelled variables: how measurements become the arrays of a dataset."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

STEPS = ("unroll", "inner_step")

Variables = dict[str, tuple[tuple[str, ...], np.ndarray, str, str]]
"""Name -> dimensions, values, long name, units."""


def table(
    rows: Sequence[Sequence[Any]], read: Callable[[Any], Any], dtype: Any = float
) -> np.ndarray:
    """What `read` finds in every entry of a table of results.

    Args:
        rows: Results by row and column.
        read: A result -> a number, a word, or an array of one shape.
        dtype: Of the array.
    """
    return np.array([[read(entry) for entry in row] for row in rows], dtype)


def padded(nested: Sequence, depth: int) -> np.ndarray:
    """Vectors of unequal lengths as one array, padded with NaN.

    Args:
        nested: Lists, `depth` deep, of vectors.
        depth: Number of leading dimensions.
    """
    outer: list[int] = []
    level: Any = nested
    for _ in range(depth):
        outer.append(len(level))
        level = level[0]

    def entry(at: tuple[int, ...]) -> np.ndarray:
        found: Any = nested
        for index in at:
            found = found[index]
        return np.asarray(found)

    places = list(np.ndindex(*outer))
    longest = max(len(entry(at)) for at in places)
    filled = np.full((*outer, longest), np.nan)
    for at in places:
        filled[at][: len(entry(at))] = entry(at)
    return filled
