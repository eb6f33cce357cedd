"""What the cells of one configuration say together, as answers need it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hessdiag.analysis.standings import Evidence, Standings

Row = Mapping[str, Any]


class Configuration(NamedTuple):
    """What is known of one configuration."""

    name: str
    evidence: Evidence
    standings: Standings
    curvature: Sequence[Row]
    cuts: Sequence[Row]
    sources: Sequence[Row]
    sensitivity: Sequence[Row]
    mixing: Sequence[Row]
    spread: Sequence[Row]


def find(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The first row with these values."""
    return next((r for r in rows if all(r.get(k) == v for k, v in wanted.items())), None)
