"""What does mixing do?"""

from collections.abc import Iterator, Sequence

from hessdiag.analysis.configuration import Configuration, Row
from hessdiag.analysis.moments import ALL
from hessdiag.analysis.words import ratio


def mixing(of: Configuration) -> Iterator[str]:
    """A sentence on the standard deviation of the mix beside that of one horizon."""
    at = {row["curve"]: row for row in _longest(of.mixing)}
    if {"n-step", "mix"} <= at.keys():
        yield (
            f"At {at['mix']['horizon']} steps the standard deviation is "
            f"{ratio(at['n-step'], 'growth')} times that of one step for the n-step "
            f"meta-gradient, and {ratio(at['mix'], 'growth')} times for the mix. The average of "
            f"the same horizons would have {ratio(at['mix if independent'], 'growth')} if their "
            f"noise were independent, and {ratio(at['mix if coherent'], 'growth')} if it were one "
            f"and the same. The mix validates {at['mix']['horizon']} times, the n-step "
            "meta-gradient once."
        )


def _longest(rows: Sequence[Row]) -> list[Row]:
    """The rows of all of training at the longest horizon."""
    whole = [row for row in rows if row["when"] == ALL]
    longest = max((row["horizon"] for row in whole), default=0)
    return [row for row in whole if row["horizon"] == longest]
