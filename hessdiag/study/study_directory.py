"""The study directory: the grid, and a run directory per cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.record.provenance import with_resumption
from hessdiag.record.run_directory import RunDirectory
from hessdiag.record.written import as_written
from hessdiag.study.failure import Failure
from hessdiag.study.grid import Cell, Grid

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CellStatus:
    """Where a cell stands.

    Attributes:
        state: "waiting", "running", "interrupted", "finished" or "failed".
        iteration: training iterations done.
        message: why it failed.
    """

    state: str = "waiting"
    iteration: int = 0
    message: str | None = None


class StudyDirectory:
    """Files of one study.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path):
        self.path = path
        self._files = RunDirectory(path)  # for its atomic JSON

    @classmethod
    def create(
        cls, path: Path, grid: Grid, provenance: Mapping[str, Any], *, name: str = "study"
    ) -> "StudyDirectory":
        """Make a new study directory.

        Args:
            path: where; no cells may be there yet.
            grid: what it runs.
            provenance: where its numbers come from.
            name: what its report is called.

        Raises:
            UsageError: it exists already, or cannot be written.
        """
        made = cls(path)
        try:
            if (path / "cells").exists():
                raise FileExistsError
            path.mkdir(parents=True, exist_ok=True)
            made._files.write_json(
                "study.json",
                {
                    "format_version": FORMAT_VERSION,
                    "name": name,
                    "common": dict(grid.common),
                    "varied": {key: list(values) for key, values in grid.varied.items()},
                    "provenance": dict(provenance),
                },
            )
            (path / "cells").mkdir()  # last: where it is, there is a whole study.json
        except FileExistsError as error:
            raise UsageError(
                f"--out: {path} exists; a study is never overwritten (allowed: a new path, or "
                "--resume)"
            ) from error
        except OSError as error:
            raise UsageError(
                f"--out: {path} cannot be written ({error.strerror}); allowed: a writable folder"
            ) from error
        return made

    @classmethod
    def open(cls, path: Path) -> "StudyDirectory":
        """Open an existing study.

        Raises:
            UsageError: it is no study, damaged, or of a newer format.
        """
        opened = cls(path)
        if not (path / "study.json").is_file():
            raise UsageError(f"--resume: {path} is no study (study.json is missing)")
        version = opened._files.read_json("study.json").get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise UsageError(
                f"--resume: {path} has format version {version}; this hessdiag reads versions up "
                f"to {FORMAT_VERSION}"
            )
        return opened

    def note_resumption(self, command: str) -> None:
        """Keep in study.json where and with what it is gone on with.

        Args:
            command: the command line.
        """
        document = self._files.read_json("study.json")
        self._files.write_json("study.json", with_resumption(document, command))

    @property
    def grid(self) -> Grid:
        """What the study runs.

        Raises:
            UsageError: study.json is damaged.
        """
        document = self._files.read_json("study.json")
        try:
            return Grid(dict(document["common"]), dict(document["varied"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"--resume: {self.path}/study.json is damaged ({error})") from error

    def run_path(self, cell: Cell) -> Path:
        """Where a cell's run is kept."""
        return self.path / "cells" / cell.slug

    def status(self, cell: Cell) -> CellStatus:
        """Where a cell stands, read from its run directory."""
        failure = self._failure(cell)
        if failure.is_file():
            return CellStatus("failed", 0, failure.read_text().partition("\n")[0])
        summary = RunDirectory(self.run_path(cell)).summary()
        return CellStatus(
            str(summary.get("status", "waiting")),
            int(summary.get("iteration") or 0),
            summary.get("message"),
        )

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Replace what all cells say together; NaN and infinities become null."""
        self._files.write_json("results.json", as_written(results), indent=None)

    def is_reported(self, cell: Cell) -> bool:
        """Whether the report of a cell's run is as new as its summary."""
        page, summary = (self.run_path(cell) / name for name in ("report.html", "summary.json"))
        return page.exists() and page.stat().st_mtime_ns >= summary.stat().st_mtime_ns

    def record_failure(self, cell: Cell, failure: Failure) -> None:
        """Remember why a cell failed, if its run could not say so itself."""
        file = self._failure(cell)
        file.parent.mkdir(exist_ok=True)
        name = str(file.relative_to(self.path))
        self._files.write_text(name, f"{failure.message}\n\n{failure.details}")

    def forget_failure(self, cell: Cell) -> None:
        """The cell is about to be tried again."""
        self._failure(cell).unlink(missing_ok=True)

    def _failure(self, cell: Cell) -> Path:
        return self.path / "cells" / f"{cell.slug}.failed"
