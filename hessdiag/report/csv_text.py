"""Comma-separated values at full precision: what a figure shows, for other tools."""

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

Row = Mapping[str, Any]


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """Rows as CSV; the header is every column in order of first appearance.

    Args:
        rows: One mapping per line; a missing or None value becomes an empty field.

    Returns:
        UTF-8 text with unix line ends.
    """
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def long_rows(
    probes: Iterable[xr.Dataset], variables: Sequence[str], dimensions: Sequence[str]
) -> list[dict[str, Any]]:
    """One row per probe and index: the long form of some variables.

    Args:
        probes: The datasets.
        variables: Names of the columns; one that a probe lacks is left out of its rows.
        dimensions: Index columns, outermost first; a variable may have fewer of them.

    Returns:
        The rows, with the column `iteration` first.
    """
    rows = []
    for probe in probes:
        present = [name for name in variables if name in probe]
        if present:
            rows.extend(_probe_rows(probe, present, dimensions))
    return rows


def _probe_rows(
    probe: xr.Dataset, variables: Sequence[str], dimensions: Sequence[str]
) -> list[dict[str, Any]]:
    used = [d for d in dimensions if any(d in probe[name].dims for name in variables)]
    full = xr.broadcast(*(probe[name] for name in variables))
    columns = [array.transpose(*used).values.ravel().tolist() for array in full]
    labels = itertools.product(*(np.asarray(probe[d].values).tolist() for d in used))
    iteration = int(probe.attrs["iteration"])
    return [
        {"iteration": iteration, **dict(zip(used, label, strict=True))}
        | dict(zip(variables, values, strict=True))
        for label, values in zip(labels, zip(*columns, strict=True), strict=True)
    ]
