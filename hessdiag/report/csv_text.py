"""Comma-separated values at full precision: what a figure shows, for other tools."""

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """Rows as CSV; the header is every column in order of first appearance."""
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
