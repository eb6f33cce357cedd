"""The directory of a study of bias: its plan, and a file of measurements per point."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from hessdiag.errors import UsageError
from hessdiag.record.atomic import write_atomically
from hessdiag.record.datasets import as_file, read_dataset
from hessdiag.record.digests import changed, difference, digest_of
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
        cores: int = 0,
    ) -> "SweepDirectory":
        """Make it, where nothing is measured yet.

        Args:
            path: where.
            plan: the plan's document.
            points: what is said of every point, by the slug of its file.
            provenance: where the numbers come from.
            name: that of its report.
            cores: of each process that measures points; 0: all, in the study's own.

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
            "split": {"cores": cores},
        }
        make_study(path, document)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "SweepDirectory":
        """An existing one, if it has no links, and its study.json is whole and its own.

        Raises:
            UsageError: it is not; a point that is another study's is named.
        """
        directory = cls(path)
        points = directory.document["points"]
        for file in (path / "cells").glob("*.nc"):
            if file.stem not in points:
                raise damaged(path / "study.json", f"cells/{file.name} is none of its points")
            directory._require_own(file.stem)
        return directory

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
        if type(_cores(document)) is not int or _cores(document) < 0:
            raise damaged(file, "split is not one of points")
        return document

    @property
    def cores(self) -> int:
        """Of each process that measures points; 0: all, in the study's own."""
        return _cores(self.document)

    def note_resumption(self, command: str) -> None:
        """Keep in study.json where it is gone on with, and by which command line."""
        write_document(self.path / "study.json", with_resumption(self.document, command))

    def file(self, slug: str) -> Path:
        """Where a point's measurements are kept."""
        return self.path / "cells" / f"{slug}.nc"

    def measured(self, slug: str) -> xr.Dataset | None:
        """A point's measurements; None where there are none.

        Raises:
            UsageError: they are not as they were written, or those of another point or study.
        """
        file, note = self.file(slug), self._note(slug)
        if not file.is_file():
            return None
        if note.is_file():  # there was none at first
            self._require_own(slug)
            if changed(file.parent, {file.name: read_document(note, "file")["file"]}):
                raise damaged(file, f"it is not as {note.name} says")
        return read_dataset(file, "at")

    def _require_own(self, slug: str) -> None:
        """Refuse a point whose note is whole, and of another point or study."""
        try:
            kept = read_document(self._note(slug))
        except UsageError:
            return
        if apart := difference(kept, {**kept, **self._origin(slug)}):
            raise damaged(self._note(slug), f"{apart}, as study.json says")

    def write(self, slug: str, dataset: xr.Dataset) -> None:
        """Keep a point's measurements; first what is noted of them."""
        content = as_file(dataset)
        counted = [len(content), hashlib.sha256(content).hexdigest()]
        write_document(self._note(slug), {**self._origin(slug), "file": counted})
        write_atomically(self.file(slug), content)

    def forget(self, slug: str) -> None:
        """A point is about to be measured anew."""
        self.file(slug).unlink(missing_ok=True)
        self._note(slug).unlink(missing_ok=True)

    def _note(self, slug: str) -> Path:
        return self.path / "cells" / f"{slug}.json"

    def _origin(self, slug: str) -> dict[str, Any]:
        """What is measured: the point, and the digest of the plan."""
        document = self.document
        return {
            "format_version": FORMAT_VERSION,
            "point": {"slug": slug, **document["points"].get(slug, {})},
            "plan": digest_of(document["plan"]),
        }


def _cores(document: Mapping[str, Any]) -> Any:
    """As it is there; studies from before it was kept had one process."""
    split = document.get("split", {})
    return split.get("cores", 0) if isinstance(split, dict) else None
