"""The study directory: what is varied, and a run directory per cell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hessdiag.record.atomic import write_atomically
from hessdiag.record.digests import difference
from hessdiag.record.documents import (
    FORMAT_VERSION,
    as_written,
    damaged,
    not_created,
    read_document,
    write_document,
)
from hessdiag.record.links import refuse_links
from hessdiag.record.plan import departure
from hessdiag.record.provenance import with_resumption
from hessdiag.record.run_directory import RunDirectory, RunRecord, read_run

SLUG = re.compile(r"\w[\w.+-]{0,250}", re.ASCII)
"""What cells may be called in a file system."""

Cell = Any
"""A cell of a grid: its `name`, the `slug` of its run directory, and its `settings`."""


@dataclass(frozen=True)
class CellStatus:
    """Where a cell stands."""

    state: str = "waiting"  # or "running", "interrupted", "finished" or "failed"
    iteration: int = 0  # training iterations done
    message: str | None = None  # why it failed

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> "CellStatus":
        """As `summary.json` of its run says; nothing where that has not begun."""
        iteration, message = summary.get("iteration"), summary.get("message")
        done = iteration if isinstance(iteration, int) else 0
        return cls(str(summary.get("status", "waiting")), done, message and str(message))


@dataclass(frozen=True)
class CellRecord:
    """A cell of a study, with its run."""

    name: str  # what is varied and its values; the name of the run where it is no study's
    configuration: str  # the same without the seed
    seed: int
    iterations: int  # that its run is to take
    status: CellStatus
    run: RunRecord | None  # None where it has not begun


@dataclass(frozen=True)
class StudyRecord:
    """What is kept of a study."""

    name: str
    varied: Mapping[str, Sequence[Any]]  # values by dotted key
    provenance: Mapping[str, Any]  # where its numbers come from
    cells: tuple[CellRecord, ...]  # in the order of its grid


def read_study(path: Path) -> StudyRecord:
    """Everything that is known of the study in a directory.

    Raises:
        UsageError: a file is missing, damaged, or of another format version.
    """
    directory = StudyDirectory.open(path)
    document = directory.document
    cells = tuple(_read_cell(directory, document, entry) for entry in document["cells"])
    return StudyRecord(document["name"], document["varied"], document["provenance"], cells)


def make_study(path: Path, document: Mapping[str, Any]) -> None:
    """Make the directory of a study, where no cells are yet, with its study.json.

    Raises:
        UsageError: it exists already, or cannot be written.
    """
    try:
        if (path / "cells").exists():
            raise FileExistsError
        path.mkdir(parents=True, exist_ok=True)
        write_document(path / "study.json", document)
        (path / "cells").mkdir()  # last: where it is, there is a whole study.json
    except OSError as error:
        exists = isinstance(error, FileExistsError)
        raise not_created(path, "a study", error, exists=exists) from error


def _read_cell(
    directory: "StudyDirectory", document: Mapping[str, Any], entry: Mapping[str, Any]
) -> CellRecord:
    name, path = entry["cell"], directory.path / "cells" / entry["slug"]
    configuration = " ".join(word for word in name.split(" ") if not word.startswith("seed="))
    run = read_run(path) if _has_begun(path) else None
    if run is not None:
        _require_cell(run, document, entry)
    status = directory.status_of(entry["slug"])
    return CellRecord(name, configuration, entry["seed"], entry["iterations"], status, run)


def _has_begun(path: Path) -> bool:
    """Whether there is a run to be read: one that was killed as it began has lines for none yet."""
    lines = path / "metrics.jsonl"
    return (path / "summary.json").exists() or (lines.exists() and lines.stat().st_size > 0)


def _is_cell(entry: Any) -> bool:
    """Whether an entry of study.json is that of a cell, whose directory is inside the study's."""
    kinds = {"cell": str, "slug": str, "seed": int, "iterations": int}
    return (
        isinstance(entry, dict)
        and all(type(entry.get(key)) is kind for key, kind in kinds.items())
        and SLUG.fullmatch(entry["slug"]) is not None
    )


def _is_split(split: Any) -> bool:
    """Whether it says how many seeds train together, and on how many cores."""
    least = {"together": 1, "cores": 0}
    return isinstance(split, dict) and all(
        key in least and type(number) is int and number >= least[key]
        for key, number in split.items()
    )


def _require_cell(run: RunRecord, document: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
    """Refuse a run that is of another cell, or of another study."""
    said = {"seed": entry["seed"], "train.iterations": entry["iterations"]}
    apart = difference({key: run.settings.get(key) for key in said}, said)
    apart = apart or departure(run.settings, entry["cell"], document["common"], document["varied"])
    if apart:
        raise damaged(run.path / "config.json", f"{apart}, as study.json says")


@dataclass(frozen=True)
class StudyDirectory:
    """Files of the study in a directory."""

    path: Path

    @classmethod
    def create(
        cls,
        path: Path,
        grid: Any,
        provenance: Mapping[str, Any],
        *,
        name: str = "study",
        split: Mapping[str, int] | None = None,
    ) -> "StudyDirectory":
        """Make the directory of a `Grid`, where no cells are yet; the name is that of its report.

        `split` says how cells are spread over cores, where that is to be kept.

        Raises:
            UsageError: it exists already, or cannot be written.
        """
        cells = [
            {
                "cell": cell.name,
                "slug": cell.slug,
                "seed": cell.settings.seed,
                "iterations": cell.settings.train.iterations,
            }
            for cell in grid.cells()
        ]
        document = {
            "format_version": FORMAT_VERSION,
            "name": name,
            "common": dict(grid.common),
            "varied": {key: list(values) for key, values in grid.varied.items()},
            "cells": cells,
            "provenance": dict(provenance),
            **({"split": dict(split)} if split else {}),
        }
        make_study(path, document)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "StudyDirectory":
        """Open an existing one, if it has no links, and its study.json is whole and its own."""
        refuse_links(path)
        listed = {entry["slug"] for entry in cls(path).document["cells"]}
        for file in (path / "cells").glob("*/config.json"):
            if file.parent.name not in listed:
                raise damaged(path / "study.json", f"cells/{file.parent.name} is none of its cells")
        return cls(path)

    @property
    def document(self) -> dict[str, Any]:
        """What study.json says; one that cannot be read is a UsageError."""
        file = self.path / "study.json"
        document = read_document(file, "name", "common", "varied", "cells", "provenance")
        for key in ("common", "varied", "provenance"):
            if not isinstance(document[key], dict):
                raise damaged(file, f"{key} is no table")
        cells, lists = document["cells"], document["varied"].values()
        if not isinstance(cells, list) or not all(map(_is_cell, cells)):
            raise damaged(file, "cells is no list of cells")
        if not all(isinstance(values, list) for values in lists):
            raise damaged(file, "varied has what is no list")
        if not _is_split(document.get("split", {})):
            raise damaged(file, "split is not one of cells")
        return document

    @property
    def plan(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is common to all cells, and what is varied."""
        document = self.document
        return document["common"], document["varied"]

    def note_resumption(self, command: str) -> None:
        """Keep in study.json where it is gone on with, and by which command line."""
        write_document(self.path / "study.json", with_resumption(self.document, command))

    def run_path(self, cell: Cell) -> Path:
        """Where a cell's run is kept."""
        return self.path / "cells" / cell.slug

    def status(self, cell: Cell) -> CellStatus:
        """Where a cell stands, read from its run directory."""
        return self.status_of(cell.slug)

    def status_of(self, slug: str) -> CellStatus:
        """Where the cell of this slug stands."""
        failure = self._failure(slug)
        if failure.is_file():
            said = failure.read_text(encoding="utf-8", errors="replace")
            return CellStatus("failed", 0, said.partition("\n")[0])
        run = RunDirectory(self.path / "cells" / slug)
        summary = run.summary()
        status = CellStatus.of(summary)
        if status.state == "finished" and run.changed_since(summary.get("record")):
            return CellStatus("interrupted", status.iteration)  # something is to be made again
        return status

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Replace what all cells say together; NaN and infinities become null."""
        write_document(self.path / "results.json", as_written(results), indent=None)

    def is_reported(self, cell: Cell) -> bool:
        """Whether the report of a cell's run is as new as its summary."""
        page, summary = (self.run_path(cell) / name for name in ("report.html", "summary.json"))
        return page.exists() and page.stat().st_mtime_ns >= summary.stat().st_mtime_ns

    def lacks_report(self, cell: Cell) -> bool:
        """Whether there is a run whose report is older."""
        has_begun = (self.run_path(cell) / "config.json").is_file()
        return has_begun and not self.is_reported(cell)

    def record_failure(self, cell: Cell, message: str, details: str) -> None:
        """Remember why a cell failed, in one line and as a traceback, if its run could not."""
        file = self._failure(cell.slug)
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, f"{message}\n\n{details}")

    def forget_failure(self, cell: Cell) -> None:
        """The cell is about to be tried again."""
        self._failure(cell.slug).unlink(missing_ok=True)

    def _failure(self, slug: str) -> Path:
        return self.path / "cells" / f"{slug}.failed"
