"""Rows of tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Row = Mapping[str, Any]


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a table; what is missing or null in a column of numbers is NaN."""
    table = pd.DataFrame(list(rows))
    is_empty: Any = table.isna().all()
    return table.astype({name: float for name in table if is_empty[name]})


def rows(table: pd.DataFrame, **wanted: Any) -> list[dict[str, Any]]:
    """The rows of a table that have these values."""
    found: list[dict[str, Any]] = table.to_dict("records")
    return [row for row in found if all(row.get(key) == value for key, value in wanted.items())]


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other, but for those without rows."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
