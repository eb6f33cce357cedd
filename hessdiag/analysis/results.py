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


def to_document(found: Findings) -> dict[str, Any]:
    """All of it but probes and metrics; tables are lists of rows without what is missing."""
    kept = {
        field.name: getattr(found, field.name)
        for field in dataclasses.fields(Findings)
        if field.name not in ("cells", "tables", "verdict", "checks", "probes", "metrics")
    }
    return {
        "format_version": FORMAT_VERSION,
        **kept,
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
    tables = {name: frame(document["tables"].get(name, ())) for name in NAMES}
    names = tuple(document["configurations"])
    confidence, cells = document["confidence"], pd.DataFrame(document["cells"])
    provenance = document["provenance"]
    return Findings(
        name=document["name"],
        kind=document["kind"],
        confidence=confidence,
        about=document["about"],
        configurations=names,
        settings=document["settings"],
        varied=tuple(document["varied"]),
        choices=tuple(document["choices"]),
        provenance=provenance,
        cells=cells,
        scale=document["scale"],
        tables=tables,
        verdict=verdict(tables, names, confidence=confidence),
        checks=checks(tables, names, provenance=provenance, cells=cells, muted=muted),
    )


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if value is not None and value == value}  # NaN
        for row in rows(table)
    ]
