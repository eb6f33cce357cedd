"""Numbers in the sentences of a study."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hessdiag.statistics import Interval


def listed(parts: Iterable[str]) -> str:
    """a, b and c."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def percent(row: Mapping[str, Any], name: str) -> str:
    """A share with its interval, such as ``12 % [8, 16]``."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not np.isfinite(low):
        return f"{_hundredths(value)} %"
    return f"{_hundredths(value)} % [{_hundredths(low)}, {_hundredths(high)}]"


def ratio(row: Mapping[str, Any], name: str) -> str:
    """A number with its interval, such as ``3.1 [2.8, 3.4]``."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.2g}" + (f" [{low:.2g}, {high:.2g}]" if np.isfinite(low) else "")


def factor(log_error: Interval) -> str:
    """An error on the logarithm as a factor with its interval."""
    with np.errstate(over="ignore"):  # of few seeds, an end may be infinite
        value, low, high = (float(np.exp(end)) for end in log_error)
    return ratio({"off": value, "off_low": low, "off_high": high}, "off")


def span(values: np.ndarray) -> str:
    """The range of some values, or the value where they agree to the digits shown."""
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _hundredths(share: float) -> str:
    """A share in whole percent; what rounds to zero has no sign."""
    return str(round(100 * share)).replace("-", "−")


def deflating(row: Mapping[str, Any] | None) -> str:
    """The cut that bounds the Hessian, and how much of it that is; its row, if there is one."""
    found = row.get("left_out", np.nan) if row else np.nan
    if not np.isfinite(found):
        return "deflating eigenvalues of H outside the stable interval"
    return (
        "deflating those eigenvalues of H outside the stable interval that were found, "
        f"{found:.2g} of each Hessian on average,"
    )
