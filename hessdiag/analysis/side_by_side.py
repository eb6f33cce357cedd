"""Runs and studies side by side: findings that hold all of theirs, a name before each."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hessdiag.analysis.findings import Findings
from hessdiag.analysis.frames import stacked
from hessdiag.analysis.results import concluded, findings
from hessdiag.analysis.tables import NAMES
from hessdiag.errors import UsageError


def side_by_side(
    directories: Sequence[Path], *, command: str, muted: Collection[str] = ()
) -> Findings:
    """What the runs and studies in several directories found, concluded together.

    A configuration is called as its directory, and, where a study has several, as its own, too.

    Raises:
        UsageError: one cannot be read; there are fewer than two; or their intervals are of
            different levels.
    """
    if len({*directories}) < max(2, len(directories)):
        raise UsageError(
            f"DIRECTORIES: {' '.join(map(str, directories))} is not enough; allowed: two or more, "
            "each once"
        )
    names = _names([path.resolve() for path in directories])
    each = [_called(findings(path), name) for path, name in zip(directories, names, strict=True)]
    levels = {outcome.confidence for outcome in each}
    if len(levels) > 1:
        shown = " and ".join(f"{level:g}" for level in sorted(levels))
        raise UsageError(f"DIRECTORIES: intervals at {shown} do not compare; allowed: one level")
    first, settings = each[0], _union([outcome.settings for outcome in each])
    varied = tuple(key for key, values in settings.items() if len(values) > 1)
    tables = {name: stacked([outcome.tables[name] for outcome in each]) for name in NAMES}
    outcome = dataclasses.replace(
        first,
        name=" and ".join(names),
        kind="comparison",
        configurations=tuple(name for outcome in each for name in outcome.configurations),
        settings=settings,
        varied=varied,
        choices=tuple(dict.fromkeys(choice for outcome in each for choice in outcome.choices)),
        provenance={**first.provenance, "command": command},
        cells=stacked([_with_settings(outcome, varied) for outcome in each]),
        scale=_scale([outcome.scale for outcome in each]),
        tables=tables,
        probes={name: held for outcome in each for name, held in outcome.probes.items()},
        metrics={name: held for outcome in each for name, held in outcome.metrics.items()},
    )
    return concluded(outcome, muted=muted)


def _names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path; more of it where that is not enough to tell them apart."""
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _called(outcome: Findings, name: str) -> Findings:
    """With the name before every configuration and every cell."""

    def renamed(configuration: str) -> str:
        return f"{name}: {configuration}" if configuration else name

    def of(table: pd.DataFrame) -> pd.DataFrame:
        held = "configuration" in table
        return table.assign(configuration=table["configuration"].map(renamed)) if held else table

    return dataclasses.replace(
        outcome,
        configurations=tuple(map(renamed, outcome.configurations)),
        cells=of(outcome.cells),
        tables={table: of(frame) for table, frame in outcome.tables.items()},
        probes={f"{name} {cell}": held for cell, held in outcome.probes.items()},
        metrics={f"{name} {cell}": held for cell, held in outcome.metrics.items()},
    )


def _with_settings(outcome: Findings, varied: Sequence[str]) -> pd.DataFrame:
    """Its cells with all the values of what is varied."""
    cells = outcome.cells.copy()
    for key in varied:
        cells[key] = [tuple(outcome.settings.get(key, ()))] * len(cells)
    return cells


def _union(held: Sequence[Mapping[str, Sequence[Any]]]) -> dict[str, list[Any]]:
    """The values of each setting, each once."""
    values: dict[str, list[Any]] = {}
    for settings in held:
        for key, found in settings.items():
            known = values.setdefault(key, [])
            known.extend(value for value in found if value not in known)
    return values


def _scale(scales: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How large they are together: most seeds, and all values of the rest."""
    together: dict[str, Any] = {
        key: sorted({value for scale in scales for value in scale.get(key, ())})
        for key in scales[0]
        if key != "seeds"
    }
    return together | {"seeds": max(scale.get("seeds", 1) for scale in scales)}
