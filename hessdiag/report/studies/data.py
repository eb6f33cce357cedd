"""The results of a study, read and checked; nothing of its runs is needed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hessdiag.errors import UsageError

FORMAT_VERSION = 2
"""The newest format of results.json that this reader understands."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class StudyData:
    """Everything that a study's report is made from.

    Attributes:
        directory: The study directory.
        study: `study.json`: the grid, and provenance.
        results: `results.json`: tables of rows, answers, and the state of the cells.
    """

    directory: Path
    study: Mapping[str, Any]
    results: Mapping[str, Any]

    def rows(self, table: str, **wanted: Any) -> list[Row]:
        """The rows of a table that have the given values."""
        found = self.results.get("tables", {}).get(table, ())
        return [row for row in found if all(row.get(k) == v for k, v in wanted.items())]

    @property
    def confidence(self) -> str:
        """The level of the intervals as text, such as `95 %`."""
        return f"{100 * float(self.results.get('confidence', 0.95)):g} %"


def values(rows: Sequence[Row], name: str) -> np.ndarray:
    """A column of numbers, NaN where one is missing."""
    found = (row.get(name) for row in rows)
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def distinct(rows: Sequence[Row], name: str) -> list[Any]:
    """The values of a column, in order of first appearance."""
    return list(dict.fromkeys(row[name] for row in rows if row.get(name) is not None))


def intervals(rows: Sequence[Row], confidence: str) -> str:
    """What intervals of rows are: over as many seeds or probes as they say."""
    known = {(row["count"], row["over"]) for row in rows if "over" in row}
    units = " or ".join(f"{count} {over}" for count, over in sorted(known)) or "seeds"
    return f"{confidence} intervals (Student's t) over {units}"


def load_study(directory: Path | str) -> StudyData:
    """Read a study directory.

    Args:
        directory: Where the study was written.

    Raises:
        UsageError: A file is missing, damaged, or of a newer format.
    """
    directory = Path(directory)
    study, results = (_object(directory / f"{name}.json") for name in ("study", "results"))
    version = results.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UsageError(
            f"{directory / 'results.json'}: format version {version} is not one that this "
            f"hessdiag reads (up to {FORMAT_VERSION})"
        )
    about = results.get("about", {})
    named = {"problem": about.get("summary"), "our_choices": results.get("choices", ())}
    return StudyData(directory, study, {"answers": (), **about, **named, **results})


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: the file is missing") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: damaged JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value
