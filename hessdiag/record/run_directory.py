"""The run directory: the only thing that training and reporting share."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray

from hessdiag.errors import UsageError

FORMAT_VERSION = 1


class RunDirectory:
    """Files of one run; every whole-file write goes to a temporary name and is renamed.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any]) -> "RunDirectory":
        """Make a new run directory: all of it, or none.

        It is filled beside its place, in a hidden folder, and put there by renaming.

        Raises:
            UsageError: it exists already, or cannot be written.
        """
        try:
            if os.path.lexists(path):
                raise FileExistsError
            unborn = path.with_name(f".{path.name}.part")
            (unborn / "probes").mkdir(parents=True, exist_ok=True)
            cls(unborn).write_json("config.json", {"format_version": FORMAT_VERSION, **config})
            unborn.rename(path)
        except OSError as error:
            if os.path.lexists(path):
                raise UsageError(
                    f"--out: {path} exists; a run directory is never overwritten "
                    "(allowed: a new path, or --resume)"
                ) from error
            raise UsageError(
                f"--out: {path} cannot be written ({error.strerror}); allowed: a writable folder"
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Open an existing run directory.

        Raises:
            UsageError: it is no run directory, damaged, or of a newer format.
        """
        opened = cls(path)
        version = opened.read_json("config.json").get("format_version")
        if not isinstance(version, int):
            raise UsageError(f"--resume: {path}/config.json is damaged (it has no format_version)")
        if version > FORMAT_VERSION:
            raise UsageError(
                f"--resume: {path} has format version {version}; this hessdiag reads versions up "
                f"to {FORMAT_VERSION}: upgrade it"
            )
        return opened

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the directory.

        Raises:
            UsageError: missing or damaged.
        """
        file = self.path / name
        try:
            document = json.loads(file.read_text())
        except FileNotFoundError as error:
            raise UsageError(
                f"--resume: {self.path} is no run directory ({name} is missing)"
            ) from error
        except (OSError, ValueError) as error:
            raise UsageError(f"--resume: {file} is damaged ({error})") from error
        if not isinstance(document, dict):
            raise UsageError(f"--resume: {file} is damaged (not a JSON object)")
        return document

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says; nothing where it is missing or damaged."""
        try:
            return self.read_json("summary.json")
        except UsageError:
            return {}

    def write_json(self, name: str, document: Mapping[str, Any], *, indent: int | None = 1) -> None:
        """Replace a JSON file atomically."""
        text = json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=False)
        self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Replace a text file atomically."""
        self._replace(name, lambda temporary: temporary.write_text(text))

    def append_line(self, name: str, record: Mapping[str, Any]) -> None:
        """Append one record to a JSON-lines file, and flush."""
        with (self.path / name).open("a") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def cut_after(self, iteration: int) -> None:
        """Forget metrics and probes from `iteration` on: a resumed run makes them again.

        Raises:
            UsageError: a file is damaged.
        """
        for name in ("metrics.jsonl", "timings.jsonl"):
            try:
                kept = [
                    line
                    for line in self._whole_lines(name)
                    if json.loads(line)["iteration"] < iteration
                ]
            except (ValueError, TypeError, KeyError) as error:
                raise UsageError(f"--resume: {self.path / name} is damaged ({error})") from error
            if name == "metrics.jsonl" and len(kept) != iteration:
                raise UsageError(
                    f"--resume: {self.path / name} is damaged ({len(kept)} lines of the "
                    f"{iteration} before the checkpoint)"
                )
            self._replace(name, lambda temporary, kept=kept: temporary.write_text("".join(kept)))
        for probe in self.probes():
            if int(probe.stem.rpartition("_")[2]) > iteration:
                probe.unlink()

    def probe_file(self, iteration: int) -> Path:
        """Where the probe at an iteration is kept."""
        return self.path / "probes" / f"probe_{iteration:06d}.nc"

    def probes(self) -> list[Path]:
        """The probe files, earliest first."""
        return sorted((self.path / "probes").glob("probe_*.nc"))

    def write_probe(self, iteration: int, dataset: xarray.Dataset) -> None:
        """Write a probe atomically."""
        name = str(self.probe_file(iteration).relative_to(self.path))
        self._replace(name, lambda temporary: dataset.to_netcdf(temporary, engine="h5netcdf"))

    def read_probes(self) -> list[xarray.Dataset]:
        """All probes, in memory, earliest first.

        Raises:
            UsageError: a file is damaged.
        """
        read = []
        for file in self.probes():
            try:
                read.append(xarray.load_dataset(file, engine="h5netcdf"))
            except (OSError, ValueError) as error:
                raise UsageError(f"--resume: {file} is damaged ({error})") from error
        return read

    def _whole_lines(self, name: str) -> list[str]:
        """The lines that were written to their end."""
        file = self.path / name
        if not file.exists():
            return []
        return [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def _replace(self, name: str, write) -> None:
        final = self.path / name
        temporary = final.with_name(final.name + ".part")
        write(temporary)
        os.replace(temporary, final)


def discard_unborn(path: Path) -> None:
    """Remove what a run directory was before its config.json was written, and nothing else.

    A kill could leave that where directories were still filled in their place.
    """
    if path.is_dir():
        found = {str(file.relative_to(path)) for file in path.rglob("*")}
        if found <= {"probes", "config.json.part"}:
            shutil.rmtree(path)
