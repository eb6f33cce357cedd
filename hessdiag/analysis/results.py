"""Everything that a study's report shows, made from its cells."""

from collections.abc import Callable, Sequence
from typing import Any

from hessdiag.analysis.cells import CellResult, by_configuration, read_cells
from hessdiag.analysis.from_tables import answered
from hessdiag.analysis.learning import final_rows, learning_rows
from hessdiag.analysis.mechanism import curvature_rows, cut_rows, sensitivity_rows, source_rows
from hessdiag.analysis.mixing import mixing_rows
from hessdiag.analysis.published import with_published
from hessdiag.analysis.spread import spread_rows
from hessdiag.analysis.standings import (
    comparison_rows,
    evidence,
    joint_rows,
    standing_rows,
    standings,
)
from hessdiag.analysis.terms import term_rows
from hessdiag.meta import ESTIMATORS
from hessdiag.study import Cell, CellStatus, StudyDirectory, as_written
from hessdiag.train.settings import Settings, dotted

FORMAT_VERSION = 1

Rows = list[dict[str, Any]]


def study_results(directory: StudyDirectory, cells: Sequence[Cell]) -> dict[str, Any]:
    """The content of results.json: tables of rows, and answers.

    Args:
        directory: of the study.
        cells: all of its cells; those that have not begun are listed as waiting.
    """
    found = read_cells(directory, cells)
    confidence = cells[0].settings.probe.confidence
    tables: dict[str, Rows] = {}
    for name, results in by_configuration(found).items():
        made = _measured(name, results, confidence) | _compared(name, results, confidence)
        for table, rows in made.items():
            tables.setdefault(table, []).extend(rows)
    about = found[0].about if found else None
    measured = {
        "format_version": FORMAT_VERSION,
        "confidence": confidence,
        "problem": about.summary if about else "",
        "headline": about.headline if about else "",
        "groups": list(found[0].groups) if found else [],
        "cells": [_state(cell, directory.status(cell), found) for cell in cells],
        "tables": tables,
        "scale": _scale(cells),
        "our_choices": _choices(found),
        "settings": _settings(found),
    }
    return {**measured, "answers": answered(as_written(measured))["answers"]}


def _compared(name: str, results: Sequence[CellResult], confidence: float) -> dict[str, Rows]:
    """Explanations against both estimators."""
    tables: dict[str, Rows] = {"comparisons": [], "standings": [], "joint": []}
    for estimator in ESTIMATORS:
        measured = evidence(results, estimator=estimator)
        if measured is not None:
            outcome = standings(measured, confidence=confidence)
            tables["comparisons"] += comparison_rows(name, measured)
            tables["standings"] += standing_rows(name, estimator, outcome)
            tables["joint"] += joint_rows(name, estimator, outcome)
    return tables


def _measured(name: str, results: Sequence[CellResult], confidence: float) -> dict[str, Rows]:
    options = {"confidence": confidence}
    settings = results[0].cell.settings
    return {
        "learning": learning_rows(name, results, **options),
        "final": with_published(final_rows(name, results, **options), settings),
        "spread": with_published(spread_rows(name, results, **options), settings),
        "cuts": cut_rows(name, results, **options),
        "sources": source_rows(name, results, **options),
        "terms": term_rows(name, results, **options),
        "sensitivity": sensitivity_rows(name, results, **options),
        "curvature": curvature_rows(name, results),
        "mixing": mixing_rows(name, results, **options),
    }


def _state(cell: Cell, status: CellStatus, found: Sequence[CellResult]) -> dict[str, Any]:
    return {
        "cell": cell.name,
        "state": status.state,
        "iteration": status.iteration,
        "iterations": cell.settings.train.iterations,
        "message": status.message,
        "revisions": next((one.revisions for one in found if one.cell == cell), []),
    }


def _scale(cells: Sequence[Cell]) -> dict[str, Any]:
    """How large the study is, for captions: the values of all cells, ascending."""

    def values(read: Callable[[Settings], int]) -> list[int]:
        return sorted({read(cell.settings) for cell in cells})

    return {
        "iterations": values(lambda settings: settings.train.iterations),
        "seeds": len(values(lambda settings: settings.seed)),
        "samples": values(lambda settings: settings.probe.samples),
        "points": values(lambda settings: len(settings.probe.at) or settings.probe.points),
        "monte_carlo": values(lambda settings: settings.monte_carlo),
    }


def _choices(results: Sequence[CellResult]) -> list[str]:
    """What was ours where the paper is silent, each once."""
    return list(dict.fromkeys(c for one in results for c in one.config.get("our_choices", ())))


def _settings(results: Sequence[CellResult]) -> dict[str, list[Any]]:
    """The values that each setting has in some run, by dotted key: one where all are alike."""
    found: dict[str, list[Any]] = {}
    for one in results:
        for key, value in dotted(one.config["settings"]).items():
            values = found.setdefault(key, [])
            if value not in values:
                values.append(value)
    return found
