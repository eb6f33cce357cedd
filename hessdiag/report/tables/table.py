"""A table as the page shows it: text in cells, numbers with their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hessdiag.report.run_data import RunData


@dataclass(frozen=True)
class Table:
    """Cells of text under headings.

    Attributes:
        columns: The headings; the first column names the rows.
        rows: The cells, as many per row as there are headings.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def settings_table(data: RunData) -> Table:
    """Every setting of the run, nested tables as dotted names."""
    return Table(("setting", "value"), _flat(data.settings))


def provenance_table(data: RunData) -> Table:
    """Where the numbers come from: versions, device, precision."""
    return Table(("provenance", "value"), provenance_rows(data.config))


def provenance_rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers of a run or of a study come from, and where it was gone on with.

    Args:
        document: `config.json` or `study.json`.
    """
    provenance = dict(document.get("provenance", {}))
    provenance.pop("command", None)  # the page shows it above the table
    again = [
        ("resumed", f"{one.get('created')}, git_revision {_text(one.get('git_revision'))}")
        for one in document.get("resumed", ())
    ]
    return _flat(provenance) + again


def meta_parameter_table(data: RunData) -> Table:
    """The meta-parameters: start value and transform."""
    entries = data.config.get("meta_parameters", ())
    rows = [(str(e["name"]), _text(e.get("start")), _text(e.get("transform"))) for e in entries]
    return Table(("meta-parameter", "start value", "transform of η"), rows)


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(_flat(value, prefix=f"{name}."))
        else:
            rows.append((name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)
