"""Findings of a run or a study, from its directory."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hessdiag.analysis.findings import Findings
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.results import concluded, from_document
from hessdiag.analysis.tables import all_tables
from hessdiag.errors import UsageError
from hessdiag.record.documents import read_document
from hessdiag.record.run_directory import RunRecord, read_run
from hessdiag.record.study_directory import CellRecord, CellStatus, StudyRecord, read_study


def findings(directory: Path, *, muted: Collection[str] = ()) -> Findings:
    """What the run or the study in a directory found.

    A run is a study of one cell. A study whose runs are gone is read from its results.json.

    Args:
        directory: of the run or of the study.
        muted: codes of checks that are not to be told.

    Raises:
        UsageError: it is neither, or a file is missing, damaged or of another format version.
    """
    if (directory / "config.json").is_file():
        return of_study(_alone(read_run(directory)), kind="run", muted=muted)
    if (directory / "cells").is_dir():
        return of_study(read_study(directory), kind="study", muted=muted)
    if not (directory / "study.json").is_file():
        raise UsageError(
            f"{directory}: neither a run nor a study (config.json and study.json are missing)"
        )
    results = read_document(directory / "results.json", "tables", "cells", "about", "provenance")
    return from_document(results, muted=muted)


def of_study(study: StudyRecord, *, kind: str, muted: Collection[str] = ()) -> Findings:
    """What the cells of a study say together.

    Args:
        study: as read; cells that have not begun are listed as waiting.
        kind: "run" or "study".
        muted: codes of checks that are not to be told.
    """
    begun = {cell.name: cell.run for cell in study.cells if cell.run is not None}
    runs = list(begun.values())
    settings = _settings(runs)
    confidence = runs[0].settings["probe.confidence"] if runs else 0.95
    configurations = _configurations(study.cells, confidence)
    names = tuple(dict.fromkeys(cell.configuration for cell in study.cells))
    found = Findings(
        name=study.name,
        kind=kind,
        confidence=confidence,
        about=_about(runs),
        configurations=names,
        settings=settings,
        varied=tuple(study.varied),
        choices=tuple(dict.fromkeys(c for run in runs for c in run.config.get("our_choices", ()))),
        provenance=study.provenance,
        cells=pd.DataFrame([_row(cell) for cell in study.cells]),
        scale=_scale(study.cells, settings),
        tables=all_tables(configurations, [*study.varied]),
        probes={name: run.probes for name, run in begun.items()},
        metrics={name: run.metrics for name, run in begun.items()},
    )
    return concluded(found, muted=muted)


def _alone(run: RunRecord) -> StudyRecord:
    """A run as a study of one cell."""
    settings, summary = run.settings, run.summary
    status = CellStatus(summary["status"], summary.get("iteration") or 0, summary.get("message"))
    cell = CellRecord(
        run.path.name, "", settings["seed"], settings["train.iterations"], status, run
    )
    return StudyRecord(run.path.name, {}, run.config.get("provenance", {}), (cell,))


def _configurations(cells: Sequence[CellRecord], confidence: float) -> list[Configuration]:
    groups: dict[str, list[CellRecord]] = {}
    for cell in cells:
        if cell.run is not None:
            groups.setdefault(cell.configuration, []).append(cell)
    return [Configuration(name, group, confidence) for name, group in groups.items()]


def _row(cell: CellRecord) -> dict[str, Any]:
    return {
        "cell": cell.name,
        "configuration": cell.configuration,
        "seed": cell.seed,
        "state": cell.status.state,
        "iteration": cell.status.iteration,
        "iterations": cell.iterations,
        "message": cell.status.message,
        "revisions": cell.run.revisions if cell.run else [],
    }


def _about(runs: Sequence[RunRecord]) -> dict[str, Any]:
    if not runs:
        return {"summary": "", "headline": "", "groups": ()}
    problem = runs[0].config["problem"]
    return {
        "summary": problem.get("description", ""),
        "headline": problem["headline"],
        "groups": tuple(runs[0].groups),
    }


def _settings(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The values that each setting has in some run: one where all are alike."""
    values: dict[str, list[Any]] = {}
    for run in runs:
        for key, value in run.settings.items():
            if value not in values.setdefault(key, []):
                values[key].append(value)
    return values


def _scale(cells: Sequence[CellRecord], settings: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """How large the study is, for captions: the values of all cells, ascending."""
    points = {len(at) for at in settings.get("probe.at", ()) if at}
    if not all(settings.get("probe.at", ())):
        points |= set(settings["probe.points"])
    return {
        "iterations": sorted({cell.iterations for cell in cells}),
        "seeds": len({cell.seed for cell in cells}),
        "samples": sorted(settings.get("probe.samples", ())),
        "points": sorted(points),
        "monte_carlo": sorted(settings.get("monte_carlo", ())),
    }
