"""The first screen for a terminal: plain lines."""

import json
import textwrap
from collections.abc import Iterator

from hessdiag.analysis import Findings, to_document
from hessdiag.errors import printable
from hessdiag.record.documents import as_written
from hessdiag.report.summary import cards, kicker, lead, limits, notes
from hessdiag.report.tables import Table, check_table, decided, folded, leaves
from hessdiag.report.words import changes, sentences, title

MOST = 25  # lines of the first screen
_NOTES = 3


def first_screen(findings: Findings, *, width: int = 100) -> list[str]:
    """The finding, the cards, what is decided, what to change, limits and checks."""
    prose = [kicker(findings), title(findings), *lead(findings), *notes(findings)[:_NOTES]]
    lines = [part for line in prose for part in textwrap.wrap(printable(line), width)]
    numbers = [f"  {c.label}: {c.value} {c.detail}".rstrip() for c in cards(findings)]
    advice = [f"- {change}" for change in changes(findings)]
    beyond = [f"limits: {limit}" for limit in limits(findings) if limit not in prose][:2]
    checked = _fitting(check_table(findings), width)[1:]
    shown = [*_fitting(decided(findings), width), *_fitting(leaves(findings), width)]
    told = [*numbers, *shown, *advice, *beyond, *checked]
    lines += map(printable, told)
    return lines if len(lines) <= MOST else [*lines[: MOST - 1], "… (--full shows the rest)"]


def _fitting(table: Table | None, width: int) -> list[str]:
    """A table without the last columns that do not fit."""
    if table is None:
        return []
    for last in range(len(table.columns), 1, -1):
        kept = Table(table.columns[:last], [row[:last] for row in table.rows])
        lines = aligned(kept)
        if max(map(len, lines)) <= width:
            return lines
    return lines


def full(findings: Findings) -> Iterator[str]:
    """All answers in sentences, and every table that a page folds."""
    for question, lines, _ in sentences(findings):
        yield f"\n{question}"
        yield from (f"- {printable(line)}" for line in lines)
    for table in folded(findings):
        yield f"\n{printable(table.title)}"
        yield from aligned(table)


def aligned(table: Table) -> list[str]:
    """A table as lines of equal columns."""
    cells = [list(map(printable, row)) for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = ([f"{c:<{w}}" for c, w in zip(row, widths, strict=True)] for row in cells)
    return ["  ".join(row).rstrip() for row in padded]


def as_json(findings: Findings) -> str:
    """What results.json holds: null for what is no number."""
    return json.dumps(as_written(to_document(findings)), ensure_ascii=False, allow_nan=False)
