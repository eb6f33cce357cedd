"""Numbers of a study's rows as text."""

import math
from collections.abc import Callable

import numpy as np

from hessdiag.report.numbers import MISSING, plain, with_interval
from hessdiag.report.studies.data import Row


def interval_text(row: Row | None, name: str, transform: Callable[[float], float] = float) -> str:
    """`4.6 [4.0, 5.3]`: a column of a row with its interval, where the row has them."""
    if row is None:
        return MISSING
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return MISSING
    if low is None or high is None:
        return plain(float(transform(value)))
    with np.errstate(over="ignore"):  # of few seeds, an end may be infinite
        return with_interval(*(float(transform(end)) for end in (value, low, high)))


def percent_text(row: Row, name: str) -> str:
    """`48 [42, 54]`: a share of a row with its interval, where it has one, in whole percent."""
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if low is None or high is None:
        return _hundredths(value)
    return f"{_hundredths(value)} [{_hundredths(low)}, {_hundredths(high)}]"


def deviation_text(row: Row | None, value: str, deviation: str) -> str:
    """`67 (3)`: a mean, and the standard deviation over seeds in brackets."""
    if row is None or row.get(value) is None:
        return MISSING
    spread = row.get(deviation)
    return plain(row[value]) + (f" ({plain(spread, digits=2)})" if spread is not None else "")


def _hundredths(share: float | None) -> str:
    if share is None or not math.isfinite(share):
        return plain(share)
    return f"{round(100 * share):d}".replace("-", "−")
