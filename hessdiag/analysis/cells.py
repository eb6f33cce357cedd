"""The cells of a study with what their runs wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray

from hessdiag import problems
from hessdiag.study import Cell, CellStatus, StudyDirectory

RAW = ("meta_gradient", "cut_meta_gradient", "contribution")  # samples: large, and not needed


@dataclass(frozen=True)
class CellResult:
    """One run of a study.

    Attributes:
        cell: its place in the grid.
        status: where it stands.
        metrics: the lines of metrics.jsonl.
        probes: earliest first, without the samples.
        config: its config.json.
    """

    cell: Cell
    status: CellStatus
    metrics: Sequence[Mapping[str, Any]]
    probes: Sequence[xarray.Dataset]
    config: Mapping[str, Any]

    @property
    def about(self) -> problems.About:
        """What its problem tells of itself."""
        settings = self.cell.settings
        return problems.make(settings.env, settings.problem).about

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The meta-parameters to be averaged over, by what they are called together."""
        settings = self.cell.settings
        groups: dict[str, list[str]] = {}
        for parameter in problems.make(settings.env, settings.problem).meta_parameters:
            groups.setdefault(parameter.group or parameter.name, []).append(parameter.name)
        return groups

    @property
    def revisions(self) -> list[str]:
        """The revisions of hessdiag that made it, in order: several where it was gone on with."""
        documents = [self.config.get("provenance", {}), *self.config.get("resumed", ())]
        return list(dict.fromkeys(filter(None, (one.get("git_revision") for one in documents))))


def read_cells(directory: StudyDirectory, cells: Sequence[Cell]) -> list[CellResult]:
    """The cells that have begun."""
    made = []
    for cell in cells:
        path = directory.run_path(cell)
        if (path / "config.json").is_file():
            status = directory.status(cell)
            metrics = _metrics(path / "metrics.jsonl", status.iteration)
            config = json.loads((path / "config.json").read_text())
            made.append(CellResult(cell, status, metrics, list(_probes(path / "probes")), config))
    return made


def by_configuration(results: Sequence[CellResult]) -> dict[str, list[CellResult]]:
    """Cells that differ by their seed alone, by what they share."""
    groups: dict[str, list[CellResult]] = {}
    for result in results:
        groups.setdefault(configuration_name(result.cell), []).append(result)
    return groups


def configuration_name(cell: Cell) -> str:
    """What is varied but for the seed, such as ``n=5 estimator=mix``."""
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in cell.configuration)


def _metrics(path: Path, iterations: int) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open() as file:
        return [json.loads(line) for line, _ in zip(file, range(iterations), strict=False)]


def _probes(folder: Path) -> Iterator[xarray.Dataset]:
    for file in sorted(folder.glob("probe_*.nc")):
        with xarray.open_dataset(file, engine="h5netcdf") as dataset:
            kept = [name for name in dataset.data_vars if name not in RAW]
            yield dataset[kept].load()
