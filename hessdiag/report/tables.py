"""Tables of the page: any table of findings, with numbers and their intervals in one cell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.numbers import MISSING, plain, with_error, with_interval
from hessdiag.report.probe_rows import NORM, RADIUS, long_rows, shown_error
from hessdiag.report.select import Frame, probes

_NAMED = {
    "configuration": names.configuration,
    "series": names.parameter,
    "group": names.parameter,
    "operator": names.operator,
    "cut": names.cut,
    "explanation": names.explanation,
}
_LEFT_OUT = ("when", "seeds", "count", "over", "iteration", "seed")
_ENDINGS = ("_low", "_high", "_error", "_deviation", "_floor")


@dataclass(frozen=True)
class Table:
    """A table as text: headings and cells, what it is of, its anchor, and how to read it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    slug: str = ""
    caption: str = ""
    numeric: bool = True


def folded(findings: Findings) -> list[Table]:
    """Everything that is measured, how it was made, and with what settings."""
    measured = [
        measured_table(code, findings.tables[code], title)
        for code, title in names.named()["tables"].items()
        if code in findings.tables and len(findings.tables[code])
    ]
    return [*measured, *probe_tables(findings), *_about(findings)]


def measured_table(code: str, frame: Frame, title: str) -> Table:
    """A table of findings with each number and its interval, error or deviation in one cell."""
    frame = frame[frame["when"] == "all"] if "when" in frame else frame
    frame = frame.dropna(axis="columns", how="all")
    ends = {f"{name}{end}" for name in frame for end in _ENDINGS}
    left_out = {name for name in _LEFT_OUT if name in frame} | (ends & set(frame.columns))
    left_out |= {"learning.optimiser", "deviation"} & set(frame.columns)
    shown = [str(name) for name in frame if name not in left_out]
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
    if f"{name}_deviation" in row:
        return f"{plain(value)} ± {plain(row[f'{name}_deviation'], digits=2)}"
    return plain(float(value))


def probe_tables(findings: Findings) -> list[Table]:
    """Spectra and products of every probe of a run."""
    paper = ("spectral_radius_minus_one", "spectral_radius_minus_one_error", "exceeds_one")
    operator = (RADIUS, "operator_radius_error", "operator_radius_estimate", "operator_exceeds_one")
    product = (NORM, "product_norm_error", "product_exceeds_one", "product_matvecs")
    steps, terms = (("operator_unroll", name, "operator") for name in ("inner_step", "term"))
    wanted = {
        "Spectral radius of I + H, by probe": ((*paper, "matvecs"), ("unroll", "inner_step")),
        "Spectral radii of all operators, by probe": (operator, steps),
        "Norms of products, by probe": (product, terms),
    }
    found = []
    for number, (title, (variables, dimensions)) in enumerate(wanted.items()):
        rows = long_rows(probes(findings, variables[0]), variables, dimensions)
        if rows and findings.kind == "run":
            cells = [_probe_cells(row, variables, dimensions) for row in rows]
            extra = [name.replace("_", " ") for name in variables[1:] if not _is_error(name)]
            columns = ["iteration", *(d.replace("_", " ") for d in dimensions), "minus one", *extra]
            found.append(Table(columns, cells, title, f"probes-{number}"))
    return found


def _is_error(name: str) -> bool:
    return name.endswith(("_error", "_estimate"))


def _probe_cells(row: Mapping[str, Any], variables, dimensions) -> list[str]:
    value, bound, estimate = (
        np.array([row.get(name, np.nan)], dtype=float)
        for name in (variables[0], *(v for v in variables if _is_error(v)), "none")[:3]
    )
    error, is_bound = shown_error(value, bound, estimate)
    shown = with_error(float(value[0]), float(error[0]))
    index = [f"{row.get(name, MISSING)}" for name in ("iteration", *dimensions)]
    extra = [str(row.get(name, MISSING)) for name in variables[1:] if not _is_error(name)]
    return [*index, shown if is_bound[0] else f"≈ {shown}", *extra]


def _about(findings: Findings) -> list[Table]:
    cells: Frame = findings.cells
    shown = [str(name) for name in cells if name != "message" or cells[name].notna().any()]
    runs = [[_text(value) for value in row] for row in cells[shown].itertuples(index=False)]
    settings = [[key, " | ".join(map(_text, held))] for key, held in findings.settings.items()]
    made = [[key, _text(value)] for key, value in flat(findings.provenance).items()]
    return [
        Table(shown, runs, "Runs", "runs", numeric=False),
        Table(("setting", "value"), settings, "Settings", "settings", numeric=False),
        Table(("provenance", "value"), made, "Provenance", "provenance", numeric=False),
    ]


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of them, as one mapping with dotted keys."""
    found = {}
    for key, held in nested.items():
        parts: Any = held
        if isinstance(held, list) and any(isinstance(part, Mapping) for part in held):
            parts = {str(number): part for number, part in enumerate(held, start=1)}
        is_table = isinstance(parts, Mapping)
        found |= flat(parts, f"{prefix}{key}.") if is_table else {f"{prefix}{key}": held}
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if value is None or value is pd.NA:
        return "not set"
    return json.dumps(value, default=str) if isinstance(value, bool | dict) else str(value)
