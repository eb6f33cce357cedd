"""The systems of a study side by side: a row per quantity, a column per system."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hessdiag.analysis import Findings
from hessdiag.report import names
from hessdiag.report.numbers import factor, with_error, with_interval
from hessdiag.report.select import ESTIMATOR, is_across, measured, rows
from hessdiag.report.tables import Table
from hessdiag.report.words import HOLDS, answers

_LARGEST = "largest"  # its error bounds it; other columns have intervals
_NOT_MEASURED = "not measured"
_FINEST = 1e-3  # bounds are given no finer, relative to the value
_EXTREMES = (  # of the table of curvature
    ("spectral radius", "paper, I + H"),
    ("spectral radius", "augmented"),
    ("norm of the longest product", "paper"),
    ("norm of the longest product", "augmented"),
)


class _Quantity(NamedTuple):
    """Where the numbers of a row lie."""

    label: str
    table: str
    wanted: Mapping[str, str]
    column: str = _LARGEST


def systems(findings: Findings) -> Table | None:
    """Everything about each system, where the noise of several problems is measured."""
    if not is_across(findings):
        return None
    shown = findings.configurations
    body = [
        [quantity.label, *(_cell(findings, code, quantity) for code in shown)]
        for quantity in _quantities(findings)
    ]
    body.append(["closest explanation", *(_closest(findings, code) for code in shown)])
    return Table(["", *map(names.configuration, shown)], body, caption=_words()["caption"])


def _quantities(findings: Findings) -> Iterator[_Quantity]:
    """All rows but the last, in their order."""
    for quantity, operator in _EXTREMES:
        label = f"{quantity}, {names.operator(operator)}; minus one"
        yield _Quantity(label, "curvature", {"quantity": quantity, "operator": operator})
    yield _Quantity("sharpness over the edge of stability", "edges", {})
    spread = {"estimator": ESTIMATOR, "group": "all"}
    yield _Quantity("growth of the noise", "spread", spread, "growth")
    for code in dict.fromkeys(rows(findings, "cuts").get("cut", ())):
        if code != "full":
            yield _Quantity(f"growth {names.cut(code)}", "cuts", {"cut": code}, "growth")
    for code in dict.fromkeys(rows(findings, "sources").get("source", ())):
        label = f"{code}, share of the variance"
        yield _Quantity(label, "sources", {"source": code}, "share")


def _cell(findings: Findings, code: str, of: _Quantity) -> str:
    """A number at the longest horizon with its bound or interval; or why there is none."""
    if code not in measured(findings) or not len(rows(findings, of.table)):
        return _NOT_MEASURED
    frame = rows(findings, of.table, configuration=code, when="all", **of.wanted)
    if len(frame) and "horizon" in frame:
        frame = frame[frame["horizon"] == frame["horizon"].max()]
    for row in frame.to_dict("records")[:1]:
        if np.isfinite(row[of.column]):
            ends = (row[f"{of.column}{end}"] for end in ("_low", "_high"))
            if of.column == _LARGEST:
                finest = _FINEST * abs(row[_LARGEST])
                return with_error(row[_LARGEST], max(row[f"{_LARGEST}_error"], finest))
            return with_interval(row[of.column], *ends)
    return _words()["undefined"].get(of.wanted.get("source", of.table), _NOT_MEASURED)


def _closest(findings: Findings, code: str) -> str:
    """The explanation that comes closest, how far off it is, and whether others may be closer."""
    if code not in measured(findings):
        return _NOT_MEASURED
    for answer in answers(findings, "rivals"):
        if answer.configuration == code and "off" in answer.numbers:
            name, off = names.explanation(answer.labels["closest"]), answer.numbers["off"].value
            surely = "" if answer.status == HOLDS else "; not surely"
            return f"{name}, off by {factor(off)}{surely}"
    return _words()["undefined"]["rivals"]


def _words() -> Mapping[str, Any]:
    return names.texts("names")["systems"]
