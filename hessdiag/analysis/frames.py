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


def chosen(table: Any, **wanted: Any) -> pd.DataFrame:
    """The part of a table with the rows that have these values."""
    for key, value in wanted.items():
        table = table[table[key] == value] if key in table else table.iloc[:0]
    return table


def rows(table: pd.DataFrame, **wanted: Any) -> list[dict[str, Any]]:
    """The rows of a table that have these values."""
    return chosen(table, **wanted).to_dict("records")


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other, but for those without rows."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
