"""Findings as the document in results.json, and back."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from hessdiag.analysis.checks import checks
from hessdiag.analysis.findings import Findings
from hessdiag.analysis.frames import frame, rows
from hessdiag.analysis.tables import NAMES
from hessdiag.analysis.verdict import verdict
from hessdiag.record.documents import FORMAT_VERSION

KEPT = tuple(
    field.name
    for field in dataclasses.fields(Findings)
    if field.name not in ("cells", "tables", "verdict", "checks", "probes", "metrics")
)
"""What the document holds as it is."""


def to_document(found: Findings) -> dict[str, Any]:
    """All of it but probes and metrics; tables are lists of rows without what is missing."""
    return {
        "format_version": FORMAT_VERSION,
        **{name: getattr(found, name) for name in KEPT},
        "cells": found.cells.to_dict("records"),
        "verdict": [dataclasses.asdict(answer) for answer in found.verdict],
        "checks": [dataclasses.asdict(check) for check in found.checks],
        "tables": {name: _rows(table) for name, table in found.tables.items()},
    }


def from_document(document: Mapping[str, Any], *, muted: Collection[str] = ()) -> Findings:
    """Findings of the tables in a document; verdict and checks are made again.

    Args:
        document: the content of results.json, numbers that are not finite being null.
        muted: codes of checks that are not to be told.
    """
    kept: dict[str, Any] = {name: document[name] for name in KEPT}
    kept |= {name: tuple(kept[name]) for name in ("configurations", "varied", "choices")}
    tables = {name: frame(document["tables"].get(name, ())) for name in NAMES}
    found = Findings(**kept, cells=pd.DataFrame(document["cells"]), tables=tables)
    return concluded(found, muted=muted)


def concluded(found: Findings, *, muted: Collection[str] = ()) -> Findings:
    """Findings with their verdict and checks.

    Args:
        found: with all tables.
        muted: codes of checks that are not to be told.
    """
    names, tables = found.configurations, found.tables
    doubts = checks(tables, names, provenance=found.provenance, cells=found.cells, muted=muted)
    answers = verdict(tables, names, confidence=found.confidence)
    return dataclasses.replace(found, verdict=answers, checks=doubts)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if value is not None and value == value}  # NaN
        for row in rows(table)
    ]
