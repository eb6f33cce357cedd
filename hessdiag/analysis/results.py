"""The findings of a run or of a study: from its directory, as a document, and from that."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hessdiag.analysis.bias import of_sweeps
from hessdiag.analysis.checks import checks
from hessdiag.analysis.findings import Findings
from hessdiag.analysis.frames import frame, rows
from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.tables import NAMES, all_tables
from hessdiag.analysis.verdict import verdict
from hessdiag.errors import UsageError
from hessdiag.record.digests import difference
from hessdiag.record.documents import FORMAT_VERSION, damaged, read_document, understood
from hessdiag.record.run_directory import RunRecord, read_run
from hessdiag.record.study_directory import CellRecord, CellStatus, StudyRecord, read_study
from hessdiag.record.sweep_directory import SweepDirectory

KEPT = tuple(
    field.name
    for field in dataclasses.fields(Findings)
    if field.name not in ("cells", "tables", "verdict", "checks", "probes", "metrics")
)
"""What the document holds as it is."""


def findings(directory: Path, *, muted: Collection[str] = ()) -> Findings:
    """What the run or the study in a directory found.

    A run is a study of one cell. A study whose runs are gone is read from its results.json.

    Args:
        directory: of the run or of the study.
        muted: codes of checks that are not to be told.

    Raises:
        UsageError: it is neither, or a file is missing, damaged or of another format version.
    """
    with understood(directory):
        return _findings(directory, muted)


def _findings(directory: Path, muted: Collection[str]) -> Findings:
    if (directory / "config.json").is_file():
        return of_run(read_run(directory), muted=muted)
    if (directory / "cells").is_dir() and SweepDirectory.is_one(directory):
        return concluded(_with_all_tables(of_sweeps(directory)), muted=muted)
    if (directory / "cells").is_dir():
        return of_study(read_study(directory), kind="study", muted=muted)
    if not (directory / "study.json").is_file():
        raise UsageError(
            f"{directory}: neither a run nor a study (config.json and study.json are missing)"
        )
    outcome = of_results(directory, muted=muted)
    plan = read_document(directory / "study.json", "provenance")
    apart = difference(*(_origin(source) for source in (outcome.provenance, plan["provenance"])))
    if apart:
        raise damaged(directory / "results.json", f"{apart}, as study.json says")
    return outcome


def _origin(source: Mapping[str, Any]) -> dict[str, Any]:
    """By what a study was made, and when: its results have it, too."""
    return {key: source.get(key) for key in ("command", "created")}


def of_results(directory: Path, *, muted: Collection[str] = ()) -> Findings:
    """What the results.json of a study says, without its cells.

    Raises:
        UsageError: it is missing or damaged.
    """
    results = read_document(directory / "results.json", "tables", "cells", "about", "provenance")
    return from_document(results, muted=muted)


def _with_all_tables(outcome: Findings) -> Findings:
    """With those that it has no rows for, too."""
    tables = {name: outcome.tables.get(name, pd.DataFrame()) for name in NAMES}
    return dataclasses.replace(outcome, tables=tables)


def to_document(outcome: Findings) -> dict[str, Any]:
    """All of it but probes and metrics; tables are lists of rows without what is missing."""
    return {
        "format_version": FORMAT_VERSION,
        **{name: getattr(outcome, name) for name in KEPT},
        "cells": outcome.cells.to_dict("records"),
        "verdict": [dataclasses.asdict(answer) for answer in outcome.verdict],
        "checks": [dataclasses.asdict(check) for check in outcome.checks],
        "tables": {name: _rows(table) for name, table in outcome.tables.items()},
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if value is not None and value == value}  # NaN
        for row in rows(table)
    ]


def from_document(document: Mapping[str, Any], *, muted: Collection[str] = ()) -> Findings:
    """Findings of the tables in results.json, where what is not finite is null, concluded again."""
    kept: dict[str, Any] = {name: document[name] for name in KEPT}
    kept |= {name: _texts(kept[name]) for name in ("configurations", "varied", "choices")}
    tables = {name: frame(document["tables"].get(name, ())) for name in NAMES}
    outcome = Findings(**kept, cells=pd.DataFrame(document["cells"]), tables=tables)
    return concluded(outcome, muted=muted)


def _texts(values: Any) -> tuple[str, ...]:
    """A list of texts; of a text itself, every letter would be one."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("no list of texts")
    return tuple(values)


def concluded(outcome: Findings, *, muted: Collection[str] = ()) -> Findings:
    """Findings that have all tables, with their verdict, and checks that are not muted."""
    names, tables = outcome.configurations, outcome.tables
    doubts = checks(tables, names, provenance=outcome.provenance, cells=outcome.cells, muted=muted)
    answers = verdict(tables, names, confidence=outcome.confidence)
    return dataclasses.replace(outcome, verdict=answers, checks=doubts)


def of_run(run: RunRecord, *, muted: Collection[str] = ()) -> Findings:
    """What a run says; it is a study of one cell."""
    return of_study(_alone(run), kind="run", muted=muted)


def of_study(study: StudyRecord, *, kind: str, muted: Collection[str] = ()) -> Findings:
    """What the cells of a study say together; those that have not begun are listed as waiting."""
    begun = {cell.name: cell.run for cell in study.cells if cell.run is not None}
    runs = list(begun.values())
    settings = _settings(runs)
    confidence = runs[0].settings["probe.confidence"] if runs else 0.95
    names = tuple(dict.fromkeys(cell.configuration for cell in study.cells))
    cells = {name: [c for c in study.cells if c.configuration == name and c.run] for name in names}
    configurations = [Configuration(name, cells[name], confidence) for name in names if cells[name]]
    outcome = Findings(
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
    return concluded(outcome, muted=muted)


def _alone(run: RunRecord) -> StudyRecord:
    """A run as a study of one cell."""
    name, settings = run.path.name, run.settings
    seed, iterations = settings["seed"], settings["train.iterations"]
    cell = CellRecord(name, "", seed, iterations, CellStatus.of(run.summary), run)
    return StudyRecord(name, {}, run.config.get("provenance", {}), (cell,))


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
        return {"summary": "", "headline": "", "followed": (), "groups": ()}
    problem, groups = runs[0].config["problem"], tuple(runs[0].groups)
    summary = problem.get("description", "")
    shown = {"headline": problem["headline"], "followed": tuple(problem.get("followed", ()))}
    about = {"summary": summary, **shown, "groups": groups}
    return about | ({"own_loop": True} if runs[0].config.get("own_loop") else {})


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
    places = settings.get("probe.at", ())
    points = {len(place) for place in places if place}
    if not all(places):
        points |= set(settings["probe.points"])
    return {
        "iterations": sorted({cell.iterations for cell in cells}),
        "seeds": len({cell.seed for cell in cells}),
        "samples": sorted(settings.get("probe.samples", ())),
        "points": sorted(points),
        "monte_carlo": sorted(settings.get("monte_carlo", ())),
    }
