"""The summary of a run directory as a table for a terminal; reads files only."""

import json
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hessdiag.errors import UsageError

from .words import growth_text, number, radius_text

REQUIRED = ("status", "iteration", "iterations", "probes")


def summary_table(path: Path) -> Group:
    """Status, and a row per probe.

    Raises:
        UsageError: `path` is no run directory or its summary is damaged.
    """
    summary = read_summary(path)
    table = Table(title=Text(f"probes of {path.name}", "italic"), title_justify="left")
    for heading in ("iteration", "std ratio [interval]", "E1", "ρ(I+H) − 1", "above 0", "matvecs"):
        table.add_column(heading, justify="right")
    for probe in summary["probes"]:
        if "growth" in probe:
            table.add_row(*_cells(probe))
    status = f"{summary['status']} at iteration {summary['iteration']} of {summary['iterations']}"
    message = [Text(summary["message"])] if summary.get("message") else []
    return Group(Text(status), *message, table)


def read_summary(path: Path) -> dict:
    """The summary of a run.

    Raises:
        UsageError: it is missing or damaged.
    """
    file = path / "summary.json"
    try:
        summary = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise UsageError(f"{path} is no run and no study ({file.name} is missing)") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is damaged ({error})") from error
    missing = [key for key in REQUIRED if not isinstance(summary, dict) or key not in summary]
    if missing:
        raise UsageError(f"{file} is damaged (it has no {', '.join(missing)})")
    return summary


def _cells(probe: dict) -> tuple[str, ...]:
    capped = "" if probe["converged"] else " (capped)"
    return (
        str(probe["iteration"]),
        growth_text(probe),
        number(probe["predicted"], ".5g"),
        radius_text(probe),
        number(probe["mass_above_zero"], ".0%"),
        f"{probe['matvecs']}{capped}",
    )
