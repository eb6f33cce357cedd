"""Values of a probe's variables by name; `hessdiag.record.schema` says what each is."""

from typing import Any

from hessdiag.statistics import Interval

Values = dict[str, Any]


def with_ends(name: str, interval: Interval) -> Values:
    """A variable and both ends of its interval."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
