"""Tables of the page: what is decided, what checks found, and, folded, all that is measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis import CODES, Findings
from hessdiag.report import names
from hessdiag.report.numbers import MISSING, plain, with_error, with_interval
from hessdiag.report.select import NORM, RADIUS, Frame, long_rows, probes, shown_error
from hessdiag.report.words import said, templates, wanted

_NAMED = {
    "configuration": names.configuration,
    "series": names.parameter,
    "group": names.parameter,
    "operator": names.operator,
    "cut": names.cut,
    "exponent_of": names.exponent,
    "candidate": names.candidate,
    "explanation": names.explanation,
}
_LEFT_OUT = ("when", "seeds", "count", "over", "iteration", "seed", "learning.optimiser")
_ENDINGS = ("_low", "_high", "_error", "_deviation", "_floor")
_ERRORS = ("_error", "_estimate")
_PROBES = {  # what is shown of probes: values, errors and what else, and by which dimensions
    "Spectral radius of I + H, by probe": (
        ("spectral_radius_minus_one", "spectral_radius_minus_one_error", "exceeds_one", "matvecs"),
        ("unroll", "inner_step"),
    ),
    "Spectral radii of all operators, by probe": (
        (RADIUS, "operator_radius_error", "operator_radius_estimate", "operator_exceeds_one"),
        ("operator_unroll", "inner_step", "operator"),
    ),
    "Norms of products, by probe": (
        (NORM, "product_norm_error", "product_exceeds_one", "product_matvecs"),
        ("operator_unroll", "term", "operator"),
    ),
}


@dataclass(frozen=True)
class Table:
    """A table as text: headings and cells, what it is of, its anchor, and how to read it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    slug: str = ""
    caption: str = ""
    numeric: bool = True


def decided(findings: Findings) -> Table | None:
    """A row per configuration, a column per question that some of them answers."""
    cells = {}
    for answer in findings.verdict:
        text, needs = said("cell", findings, answer), wanted(answer)
        told = f"{text} (needs {needs})" if text and needs else text
        cells[answer.question, answer.configuration] = told
    asked = {question for (question, _), text in cells.items() if text}
    headings = {code: words["heading"] for code, words in templates().items() if code in asked}
    rows = []
    for name in findings.configurations:
        told = [cells.get((code, name), "") for code in headings]
        if any(told):
            rows.append([names.configuration(name) if name else findings.name, *told])
    return Table(["", *headings.values()], rows) if rows else None


def check_table(findings: Findings) -> Table | None:
    """A row per check that found something, over all configurations, with what to do."""
    advice, rows = names.texts("names")["advice"], []
    for code in dict.fromkeys(check.code for check in findings.checks if check.count):
        same = [check for check in findings.checks if check.code == code and check.count]
        count = f"{sum(c.count for c in same)} of {sum(c.of for c in same)}"
        where = ", ".join(names.configuration(c.configuration) for c in same)
        rows.append([code, CODES.get(code, code), count, where, advice.get(code, "")])
    return Table(["check", "what", "how many", "in", "what to do"], rows) if rows else None


def leaves(findings: Findings) -> Table | None:
    """The curvature of chosen leaves, where it was measured."""
    frame: Frame = findings.tables.get("leaves", pd.DataFrame())
    if not len(frame):
        return None
    return measured_table("leaves", frame, names.texts("names")["tables"]["leaves"])


def differences(findings: Findings) -> Table | None:
    """A row per setting in which what is compared differs."""
    cells: Frame = findings.cells
    if findings.kind != "comparison" or not findings.varied:
        return None
    held = cells.drop_duplicates("configuration").set_index("configuration")
    texts = {
        key: [" | ".join(map(_text, values)) for values in held[key]] for key in findings.varied
    }
    rows = [[key, *values] for key, values in texts.items() if len(set(values)) > 1]
    columns = ["setting", *map(names.configuration, held.index)]
    return Table(columns, rows, "What differs", "differs", numeric=False) if rows else None


def folded(findings: Findings) -> list[Table]:
    """Everything that is measured, how it was made, and with what settings."""
    measured = [
        measured_table(code, findings.tables[code], title)
        for code, title in names.texts("names")["tables"].items()
        if code in findings.tables and len(findings.tables[code])
    ]
    differing = filter(None, [differences(findings)])
    return [*differing, *measured, *probe_tables(findings), *_about(findings)]


def measured_table(code: str, frame: Frame, title: str) -> Table:
    """A table of findings with each number and its interval, error or deviation in one cell."""
    frame = frame[frame["when"] == "all"] if "when" in frame else frame
    frame = frame.dropna(axis="columns", how="all")
    ends = {f"{name}{end}" for name in frame for end in _ENDINGS}
    shown = [str(name) for name in frame if name not in {*_LEFT_OUT, *ends, "deviation"}]
    if (frame["configuration"] == "").all() and len(shown) > 1:
        shown.remove("configuration")
    cells = [[_cell(row, name) for name in shown] for row in frame.to_dict("records")]
    units = {f"{row['count']} {row['over']}" for row in frame.to_dict("records") if "over" in row}
    caption = f"Over all of training; intervals over {' or '.join(sorted(units))}." if units else ""
    return Table([name.replace("_", " ") for name in shown], cells, title, f"table-{code}", caption)


def _cell(row: Mapping[Any, Any], name: str) -> str:
    value: Any = row[name]
    if name in _NAMED:
        return _NAMED[name](str(value))
    if isinstance(value, str):
        return value
    if f"{name}_low" in row:
        return with_interval(value, row[f"{name}_low"], row[f"{name}_high"])
    if f"{name}_error" in row and value is not None:
        return with_error(value, row[f"{name}_error"])
    if value is None or value != value:
        return MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if f"{name}_deviation" in row:
        return f"{plain(value)} ± {plain(row[f'{name}_deviation'], digits=2)}"
    return plain(float(value))


def probe_tables(findings: Findings) -> list[Table]:
    """Spectra and products of every probe of a run."""
    tables = []
    for number, (title, (variables, dimensions)) in enumerate(_PROBES.items()):
        rows = long_rows(probes(findings, variables[0]), variables, dimensions)
        if rows and findings.kind == "run":
            errors = [name for name in variables if name.endswith(_ERRORS)]
            others = [name for name in variables[1:] if name not in errors]
            plain_columns = ["iteration", *dimensions, *others]
            columns = [name.replace("_", " ") for name in plain_columns]
            columns.insert(1 + len(dimensions), "minus one")
            cells = [[f"{row.get(name, MISSING)}" for name in plain_columns] for row in rows]
            for row, cell in zip(rows, cells, strict=True):
                cell.insert(1 + len(dimensions), _bounded(row, variables[0], *errors))
            tables.append(Table(columns, cells, title, f"probes-{number}"))
    return tables


def _bounded(row: Mapping[Any, Any], *names: str) -> str:
    """A number with its bound, or with its first-order error where that tells more."""
    held = [np.array([row.get(name, np.nan)], dtype=float) for name in (*names, "none")]
    error, is_bound = shown_error(*held[:3])
    shown = with_error(float(held[0][0]), float(error[0]))
    return shown if is_bound[0] else f"≈ {shown}"


def _about(findings: Findings) -> list[Table]:
    cells: Frame = findings.cells
    shown = [str(name) for name in cells if name != "message" or cells[name].notna().any()]
    runs = [[_text(value) for value in row] for row in cells[shown].itertuples(index=False)]
    settings = [[key, " | ".join(map(_text, held))] for key, held in findings.settings.items()]
    sources = [[key, _text(value)] for key, value in flat(findings.provenance).items()]
    return [
        Table(shown, runs, "Runs", "runs", numeric=False),
        Table(("setting", "value"), settings, "Settings", "settings", numeric=False),
        Table(("provenance", "value"), sources, "Provenance", "provenance", numeric=False),
    ]


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of them, as one mapping with dotted keys."""
    flattened = {}
    for key, held in nested.items():
        parts: Any = held
        if isinstance(held, list) and any(isinstance(part, Mapping) for part in held):
            parts = {str(number): part for number, part in enumerate(held, start=1)}
        is_table = isinstance(parts, Mapping)
        flattened |= flat(parts, f"{prefix}{key}.") if is_table else {f"{prefix}{key}": held}
    return flattened


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if value is None or value is pd.NA:
        return "not set"
    return json.dumps(value, default=str) if isinstance(value, bool | dict) else str(value)
