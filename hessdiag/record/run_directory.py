"""The run directory: what training writes, and all that is read of a run."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from hessdiag.errors import UsageError
from hessdiag.record.atomic import naming, sync_folder, write_atomically
from hessdiag.record.datasets import read_dataset, write_dataset
from hessdiag.record.digests import changed, counted, difference
from hessdiag.record.documents import (
    FORMAT_VERSION,
    damaged,
    dotted,
    not_created,
    read_document,
    read_lines,
    read_object,
    require_as_written,
    write_document,
)
from hessdiag.record.links import refuse_links
from hessdiag.record.schema import SAMPLES

_LINES = ("metrics.jsonl", "timings.jsonl")
_KEPT = 1024  # probes in memory: a report after every probe reads only the new one
_STATUSES = ("running", "interrupted", "finished", "failed")


@dataclass(frozen=True)
class RunRecord:
    """All that a run has written, but for samples."""

    path: Path  # of its directory
    config: Mapping[str, Any]  # config.json: settings, provenance, problem, choices
    summary: Mapping[str, Any]  # summary.json: its status, and a headline per probe
    metrics: pd.DataFrame  # a row per line of metrics.jsonl, by key, such as hyper.gamma
    probes: tuple[xr.Dataset, ...]  # earliest first

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings by dotted key."""
        return dotted(self.config["settings"])

    @property
    def groups(self) -> dict[str, list[str]]:
        """The meta-parameters that are averaged over, by what they are called together."""
        groups: dict[str, list[str]] = {}
        for entry in self.config["meta_parameters"]:
            groups.setdefault(entry.get("group") or entry["name"], []).append(entry["name"])
        return groups

    @property
    def revisions(self) -> list[str]:
        """The revisions of hessdiag that made it, in order: several where it was gone on with."""
        documents = [self.config.get("provenance", {}), *self.config.get("resumed", ())]
        return list(
            dict.fromkeys(filter(None, (document.get("git_revision") for document in documents)))
        )


def read_run(path: Path) -> RunRecord:
    """Everything that is known of the run in a directory; nothing is executed or unpickled.

    Raises:
        UsageError: a file is missing, damaged, or of another format version.
    """
    directory = RunDirectory.open(path)
    config = directory.config("settings", "meta_parameters", "problem")
    summary = directory.read_json("summary.json")
    status = summary.get("status")
    if status not in _STATUSES:
        allowed = ", ".join(_STATUSES)
        raise damaged(path / "summary.json", f"status {status!r}; allowed: {allowed}")
    if file := directory.changed_since(summary.get("record")):
        raise damaged(file, "it is missing, or not as summary.json counts it")
    records = [record for _, record in read_lines(path / "metrics.jsonl")]
    try:
        metrics = pd.json_normalize(records).astype(float)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(path / "metrics.jsonl", error) from error
    versions = [(file, file.stat()) for file in directory.probes()]
    probes = [_read_version(file, stat.st_mtime_ns, stat.st_size) for file, stat in versions]
    return RunRecord(path, config, summary, metrics, tuple(probes))


@lru_cache(maxsize=_KEPT)
def _read_version(file: Path, _modified: int, _size: int) -> xr.Dataset:
    return read_dataset(file, "iteration", without=SAMPLES)


def _number(probe: Path) -> int:
    """The iteration of a probe's file."""
    return int(probe.stem.rpartition("_")[2])


def _done(record: Mapping[str, Any]) -> int:
    """How many iterations a line stands for."""
    done = record.get("iterations", 1)
    return done if isinstance(done, int) else 0


def _is_whole(probe: Path) -> bool:
    try:
        read_dataset(probe, "iteration")
    except UsageError:
        return False
    return True


@dataclass(frozen=True)
class RunDirectory:
    """Files of the run in a directory, as training writes them, whole ones atomically."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any]) -> "RunDirectory":
        """Make a new run directory: filled in a hidden folder beside, then renamed into place.

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
            sync_folder(path.parent)
        except OSError as error:
            exists = os.path.lexists(path)
            raise not_created(path, "a run directory", error, exists=exists) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Open an existing one; one with links, or a config.json that is damaged, is refused."""
        refuse_links(path)
        directory = cls(path)
        directory.config()
        return directory

    def config(self, *needed: str) -> dict[str, Any]:
        """What config.json says.

        Raises:
            UsageError: it cannot be read, is damaged, or says other settings than a record.
        """
        file = self.path / "config.json"
        document = read_document(file, *needed, edited=True)
        stated, record = document.get("settings"), self._newest_record()
        trained = record.get("settings") if record else None
        if isinstance(stated, Mapping) and isinstance(trained, Mapping):
            apart = difference(dotted(stated), dotted(trained))
            if apart:
                raise damaged(file, f"{apart}, as training had it")
        require_as_written(file, document)
        return document

    def record(self) -> dict[str, Any]:
        """What the settings are, and how the lines and the probes until now read."""
        lines = self.path / "metrics.jsonl"
        files = [*([lines] if lines.exists() else []), *self.probes()]
        named = {file.relative_to(self.path).as_posix(): counted(file) for file in files}
        return {"settings": self.read_json("config.json").get("settings"), "files": named}

    def changed_since(self, record: Any) -> Path | None:
        """The first file of a record that is not as it was; directories of old have no record."""
        try:
            return changed(self.path, record["files"]) if record else None
        except (TypeError, KeyError, ValueError, AttributeError):
            return self.path / "summary.json"

    def _newest_record(self) -> Any:
        """That of summary.json, or, where there is none, of a checkpoint."""
        notes = sorted(self.path.glob("checkpoints/*.json"), reverse=True)
        for file in (self.path / "summary.json", *notes):
            with contextlib.suppress(UsageError):
                record = read_object(file).get("record")
                if isinstance(record, Mapping):
                    return record
        return None

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the directory; missing or damaged, it is a UsageError."""
        return read_object(self.path / name)

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says; nothing where it is missing or damaged."""
        try:
            return self.read_json("summary.json")
        except UsageError:
            return {}

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """Replace a JSON file atomically."""
        write_document(self.path / name, document)

    def append_line(self, name: str, record: Mapping[str, Any]) -> None:
        """Append one record to a JSON-lines file, and flush."""
        line = json.dumps(record, allow_nan=False) + "\n"
        with naming(self.path / name), (self.path / name).open("a") as file:
            file.write(line)

    def sync_lines(self) -> None:
        """Have all lines written: a checkpoint that counts them comes after them."""
        for name in _LINES:
            file = self.path / name
            if file.exists():
                with naming(file), file.open("rb+") as stream:
                    os.fsync(stream.fileno())

    def whole_until(self) -> int:
        """The last iteration from which the run can go on: all that comes before it is there.

        A line tells of one iteration, or of the last of as many as it says. A power cut or a full
        disk may have left lines torn, or a probe without content.
        """
        count = 0
        with contextlib.suppress(UsageError):
            for _, record in read_lines(self.path / "metrics.jsonl"):
                if record["iteration"] + 1 != count + _done(record):
                    break
                count += _done(record)
        broken = [_number(file) for file in self.probes() if not _is_whole(file)]
        return min([count, *broken])

    def cut_after(self, iteration: int) -> None:
        """Forget metrics and probes from `iteration` on; a damaged file is a UsageError.

        A probe at the iteration itself stays if the summary knows it.
        """
        for name in _LINES:
            file, kept, done = self.path / name, [], 0
            forgotten = (UsageError,) if name == "timings.jsonl" else ()  # no result is lost
            with contextlib.suppress(*forgotten):
                for line, record in read_lines(file):
                    if record["iteration"] >= iteration:
                        break
                    kept.append(line)
                    done += _done(record)
            if name == "metrics.jsonl" and done != iteration:
                raise damaged(file, f"{done} iterations of {iteration} before the checkpoint")
            write_atomically(file, "".join(kept))
        for probe in self.probes():
            number = _number(probe)
            if number > iteration or (number == iteration and not self._is_known(probe)):
                probe.unlink()

    def _is_known(self, probe: Path) -> bool:
        """Whether a probe is whole; where the summary has a record, as that says."""
        record, name = self.summary().get("record"), f"probes/{probe.name}"
        if not isinstance(record, Mapping):
            return _is_whole(probe)
        files = {name: record.get("files", {}).get(name)}
        return None not in files.values() and self.changed_since({"files": files}) is None

    def probe_file(self, iteration: int) -> Path:
        """Where the probe at an iteration is kept."""
        return self.path / "probes" / f"probe_{iteration:06d}.nc"

    def probes(self) -> list[Path]:
        """The probe files, earliest first."""
        return sorted((self.path / "probes").glob("probe_*.nc"))

    def write_probe(self, iteration: int, dataset: xr.Dataset) -> None:
        """Write a probe atomically."""
        self.probe_file(iteration).parent.mkdir(exist_ok=True)  # git keeps no empty folder
        write_dataset(self.probe_file(iteration), dataset)

    def read_probes(self) -> list[xr.Dataset]:
        """All probes with their samples, earliest first; a damaged file is a UsageError."""
        return [read_dataset(file, "iteration") for file in self.probes()]
