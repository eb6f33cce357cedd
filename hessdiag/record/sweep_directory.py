"""The directory of a study of bias: its plan, and a file of measurements per point."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from hessdiag.errors import UsageError
from hessdiag.record.datasets import read_dataset, write_dataset
from hessdiag.record.documents import (
    FORMAT_VERSION,
    damaged,
    read_document,
    write_document,
)
from hessdiag.record.links import refuse_links
from hessdiag.record.provenance import with_resumption
from hessdiag.record.study_directory import SLUG, make_study

KIND = "bias"  # under "kind" in study.json: what tells it from a study of trainings


@dataclass(frozen=True)
class SweepDirectory:
    """Files of the study in a directory."""

    path: Path

    @classmethod
    def create(
        cls,
        path: Path,
        plan: Mapping[str, Any],
        points: Mapping[str, Mapping[str, Any]],
        provenance: Mapping[str, Any],
        *,
        name: str,
    ) -> "SweepDirectory":
        """Make it, where nothing is measured yet.

        Args:
            path: where.
            plan: the plan's document.
            points: what is said of every point, by the slug of its file.
            provenance: where the numbers come from.
            name: that of its report.

        Raises:
            UsageError: it exists already, or cannot be written.
        """
        document = {
            "format_version": FORMAT_VERSION,
            "kind": KIND,
            "name": name,
            "plan": dict(plan),
            "points": {slug: dict(said) for slug, said in points.items()},
            "provenance": dict(provenance),
        }
        make_study(path, document)
        return cls(path)

    @classmethod
    def is_one(cls, path: Path) -> bool:
        """Whether a directory holds a study of bias, and not one of trainings."""
        try:
            return read_document(path / "study.json").get("kind") == KIND
        except UsageError:
            return False

    @property
    def document(self) -> dict[str, Any]:
        """What study.json says; one that cannot be read is a UsageError."""
        refuse_links(self.path)
        file = self.path / "study.json"
        document = read_document(file, "name", "plan", "points", "provenance")
        for key in ("plan", "points", "provenance"):
            if not isinstance(document[key], dict):
                raise damaged(file, f"{key} is no table")
        if not all(SLUG.fullmatch(slug) for slug in document["points"]):
            raise damaged(file, "points has what is no name of a file")
        return document

    def note_resumption(self, command: str) -> None:
        """Keep in study.json where it is gone on with, and by which command line."""
        write_document(self.path / "study.json", with_resumption(self.document, command))

    def file(self, slug: str) -> Path:
        """Where a point's measurements are kept."""
        return self.path / "cells" / f"{slug}.nc"

    def measured(self, slug: str) -> xr.Dataset | None:
        """A point's measurements; None where there are none, or the file is damaged."""
        if not self.file(slug).is_file():
            return None
        try:
            return read_dataset(self.file(slug), "at")
        except UsageError:
            return None

    def write(self, slug: str, dataset: xr.Dataset) -> None:
        """Keep a point's measurements."""
        write_dataset(self.file(slug), dataset)
