"""Numbers as results.json holds them."""

import math
from collections.abc import Mapping
from typing import Any

DIGITS = 7  # those of single precision


def as_written(value: Any) -> Any:
    """A document that JSON can hold: floats rounded, None for those that are not finite."""
    if isinstance(value, Mapping):
        return {key: as_written(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_written(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def as_read(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table with NaN where a number is missing."""
    return {key: math.nan if value is None else value for key, value in row.items()}
