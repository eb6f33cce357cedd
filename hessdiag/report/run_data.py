"""A run directory, read and checked.

Nothing that is read is executed or unpickled. Every refusal is a `UsageError` that names the file
and says what is wrong with it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr

from hessdiag.errors import UsageError

FORMAT_VERSION = 2
"""The newest run-directory format that this reader understands."""

_STATUSES = ("running", "interrupted", "finished", "failed")
_KEPT_PROBES = 1024


@dataclass(frozen=True)
class RunData:
    """Everything a report is made from.

    Attributes:
        directory: The run directory.
        config: `config.json`: settings, provenance, problem, choices.
        metrics: One mapping per logged iteration, in the order of `metrics.jsonl`.
        probes: One dataset per probe, by iteration.
        summary: `summary.json`: status, finding, correlations.
    """

    directory: Path
    config: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    probes: tuple[xr.Dataset, ...]
    summary: Mapping[str, Any]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the run, nested tables included."""
        return self.config["settings"]

    @property
    def headline(self) -> str:
        """Name of the metric that the learning curve shows."""
        return self.config.get("problem", {}).get("headline", "return")

    @property
    def meta_parameters(self) -> tuple[str, ...]:
        """Names of the meta-parameters, in the order of `config.json`."""
        return tuple(entry["name"] for entry in self.config.get("meta_parameters", ()))


def load(directory: Path | str) -> RunData:
    """Read a run directory.

    Args:
        directory: Where the run was written.

    Returns:
        The run. A half-written last line of `metrics.jsonl` is left out.

    Raises:
        UsageError: A file is missing, damaged, or of a newer format.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no such run directory")
    config = _config(directory / "config.json")
    summary = _summary(directory / "summary.json")
    return RunData(
        directory=directory,
        config=config,
        metrics=_metrics(directory / "metrics.jsonl", iteration=summary.get("iteration") or 0),
        probes=_probes(directory / "probes"),
        summary=summary,
    )


def _config(path: Path) -> dict[str, Any]:
    config = _json_object(path)
    version = config.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UsageError(f"{path}: format_version must be a positive integer, not {version!r}")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{path}: format version {version} is newer than {FORMAT_VERSION}, "
            "the newest that this hessdiag reads; upgrade hessdiag"
        )
    if not isinstance(config.get("settings"), dict):
        raise UsageError(f"{path}: the table 'settings' is missing")
    return config


def _summary(path: Path) -> dict[str, Any]:
    summary = _json_object(path)
    if summary.get("status") not in _STATUSES:
        raise UsageError(
            f"{path}: status must be one of {', '.join(_STATUSES)}, not {summary.get('status')!r}"
        )
    return summary


def _metrics(path: Path, *, iteration: int) -> tuple[dict[str, Any], ...]:
    if not path.exists() and iteration == 0:
        return ()  # nothing has been logged yet
    lines = _read(path).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    records = []
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if record is not None:
            records.append(record)
        elif number < len(lines):  # only the last line can be a crash's half
            raise UsageError(f"{path}: line {number} is not a record of one iteration")
    return tuple(records)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "iteration" in record else None


def _probes(folder: Path) -> tuple[xr.Dataset, ...]:
    probes = [_probe(path) for path in sorted(folder.glob("probe_*.nc"))]
    return tuple(sorted(probes, key=lambda probe: probe.attrs["iteration"]))


def _probe(path: Path) -> xr.Dataset:
    status = path.stat()
    return _read_probe(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=_KEPT_PROBES)  # a report after every probe reads only the new one
def _read_probe(path: Path, _modified: int, _size: int) -> xr.Dataset:
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            probe = dataset.load()
    except Exception as error:  # h5py, h5netcdf and xarray raise many kinds for a damaged file
        raise UsageError(f"{path}: not a readable probe ({_one_line(error)})") from error
    if "iteration" not in probe.attrs:
        raise UsageError(f"{path}: the attribute 'iteration' is missing")
    return probe


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}: damaged JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(f"{path}: the file is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: unreadable ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
