"""What a study of bias measures: sweeps of cells, and the published claims they are held against.

A TOML file has ``kind = "bias"``, a ``summary``, tables ``[[sweep]]`` and ``[[claim]]``.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hessdiag.errors import UsageError
from hessdiag.record.documents import dotted
from hessdiag.study.grid import Cell, Grid

BIAS_STUDIES = ("lsf", "gmrl-bias", "lola", "lirpg")
"""Studies that ship with the tool, a TOML file each."""
ENUMERATED = "enumerated"
_NAMED = Path(__file__).parent / "named"


@dataclass(frozen=True)
class Point:
    """Cells that differ by what is replicated alone: one program measures them."""

    sweep: str
    curve: Mapping[str, Any]  # what is varied besides the axis and the replicates
    at: float  # where on the axis
    slug: str  # of its file
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Sweep:
    """One setting varied, by itself and with others.

    Attributes:
        name: such as "trajectories".
        axis: dotted key of the setting along the figure's horizontal axis.
        replicates: dotted key of what is averaged over, such as the seed.
        enumerated: whether the exact one is the gradient of the expected outer loss over everything
            that can be sampled.
        reference: its settings by dotted key, over those of the cell.
        grid: its cells.
    """

    name: str
    axis: str
    replicates: str
    enumerated: bool
    reference: Mapping[str, Any]
    grid: Grid

    def points(self) -> list[Point]:
        """Its programs, curve by curve."""
        points: dict[str, Point] = {}
        for cell in self.grid.cells():
            varied = {k: v for k, v in cell.varied.items() if k != self.replicates}
            curve = {key: value for key, value in varied.items() if key != self.axis}
            words = [self.name, *(f"{k.rpartition('.')[2]}{v}" for k, v in varied.items())]
            slug = "-".join(re.sub(r"[^A-Za-z0-9.+]+", "_", word).strip("_") for word in words)
            known = points.get(slug)
            cells = (*known.cells, cell) if known else (cell,)
            points[slug] = Point(self.name, curve, float(varied[self.axis]), slug, cells)
        return list(points.values())


@dataclass(frozen=True)
class Claim:
    """What a paper says of the slope of a curve, on double logarithmic axes."""

    name: str  # what is fitted, in a few words
    sweep: str
    quantity: str  # "bias", "variance" or "std"
    where: Mapping[str, Any]  # the curve: values of what is varied
    least: float  # smallest slope that agrees; −inf where there is none
    most: float  # largest
    says: str  # the finding in words, where it agrees
    denies: str  # and where it does not
    since: float  # smallest value of the axis that is fitted


@dataclass(frozen=True)
class Plan:
    """A study of bias."""

    summary: str
    sweeps: Sequence[Sweep]
    claims: Sequence[Claim]
    document: Mapping[str, Any]  # as it was read

    def points(self) -> list[Point]:
        """Everything that is to be measured, in order."""
        return [point for sweep in self.sweeps for point in sweep.points()]

    def sweep_of(self, point: Point) -> Sweep:
        """The sweep that a point belongs to."""
        return next(sweep for sweep in self.sweeps if sweep.name == point.sweep)


def shipped(name: str) -> dict[str, Any]:
    """The document of a study that comes with the tool."""
    return tomllib.loads((_NAMED / f"{name}.toml").read_text(encoding="utf-8"))


def planned(document: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a document, with settings changed in every sweep.

    Raises:
        UsageError: a setting is not allowed, or a claim is of a sweep that is not there.
    """
    changed = dict(changes or {})
    sweeps = [_sweep(table, changed) for table in document["sweep"]]
    claims = [_claim(table) for table in document.get("claim", ())]
    known = [sweep.name for sweep in sweeps]
    for claim in claims:
        if claim.sweep not in known:
            raise UsageError(f"claim: no sweep {claim.sweep!r}; allowed: {', '.join(known)}")
    return Plan(str(document["summary"]), sweeps, claims, {**document, "changes": changed})


def _sweep(table: Mapping[str, Any], changes: Mapping[str, Any]) -> Sweep:
    fixed = dotted(table.get("settings", {}))
    grid = Grid(fixed, dict(table["vary"])).changed(changes, {})
    enumerated, reference = _reference(table["reference"])
    axis = str(table["axis"])
    if axis not in grid.varied:
        raise UsageError(f"{axis}: fixed, but the axis of a sweep; allowed: other settings")
    replicates = str(table.get("replicates", "seed"))
    return Sweep(str(table["name"]), axis, replicates, enumerated, reference, grid)


def _reference(given: str | Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
    """Whether it is enumerated, and its settings; the word alone is of the cell's own settings."""
    if isinstance(given, str):
        if given != ENUMERATED:
            raise UsageError(f"reference: {given!r} is not allowed; allowed: {ENUMERATED}, a table")
        return True, {}
    settings = {key: value for key, value in given.items() if key != ENUMERATED}
    return bool(given.get(ENUMERATED, False)), dotted(settings)


def _claim(table: Mapping[str, Any]) -> Claim:
    return Claim(
        name=table["name"],
        sweep=table["sweep"],
        quantity=table["quantity"],
        where=table.get("where", {}),
        least=float(table.get("least", "-inf")),
        most=float(table.get("most", "inf")),
        says=table["says"],
        denies=table["denies"],
        since=float(table.get("since", 0)),
    )
