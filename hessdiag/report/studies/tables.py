"""Tables of a study's page."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hessdiag.report.numbers import MISSING, plain, with_error
from hessdiag.report.studies.data import Row, StudyData, distinct
from hessdiag.report.studies.text import deviation_text, interval_text
from hessdiag.report.tables.table import Table, provenance_rows

_ALL = "all"


def final_table(data: StudyData) -> Table | None:
    """What every configuration ends with: mean and standard deviation over seeds."""
    rows = data.rows("final")
    series = distinct(rows, "series")
    published = any("published" in row for row in rows)
    cells = []
    for name in distinct(rows, "configuration"):
        at = {row["series"]: row for row in rows if row["configuration"] == name}
        own = [deviation_text(at.get(one), "final", "deviation") for one in series]
        if published:
            own.insert(1, deviation_text(at.get(series[0]), "published", "published_deviation"))
        cells.append((name or "all runs", *own))
    if not cells:
        return None
    headings = [*series[:1], *(["published"] if published else []), *series[1:]]
    return Table(("configuration", *headings), cells)


def growth_table(data: StudyData) -> Table | None:
    """Growth by estimator and horizon over all of training, the published beside ours."""
    rows = [r for r in data.rows("spread", when=_ALL, group="all") if r["horizon"] > 1]
    configurations = distinct(rows, "configuration")
    published = any("published" in row for row in rows)
    cells = []
    for estimator in distinct(rows, "estimator"):
        for horizon in distinct(rows, "horizon"):
            at = {
                row["configuration"]: row
                for row in rows
                if (row["estimator"], row["horizon"]) == (estimator, horizon)
            }
            own = [interval_text(at.get(name), "growth") for name in configurations]
            if published:
                theirs = next((row for row in at.values() if "published" in row), None)
                own.append(deviation_text(theirs, "published", "published_deviation"))
            cells.append((f"{estimator}, {horizon}", *own))
    if not cells:
        return None
    headings = [name or "all runs" for name in configurations]
    return Table(("estimator, horizon", *headings, *(["published"] if published else [])), cells)


def standing_table(data: StudyData, configuration: str, estimator: str) -> Table:
    """How each explanation fares with one configuration, the closest first."""
    rows = data.rows("standings", configuration=configuration, estimator=estimator)
    columns: Mapping[str, Callable[[Row], str]] = {
        "explanation": lambda row: row["explanation"],
        "off by a factor of (rms)": lambda row: interval_text(row, "log_error", np.exp),
        "predicted ÷ measured": lambda row: interval_text(row, "calibration", np.exp),
        "closest in": lambda row: f"{100 * row['wins']:.0f} %" if "wins" in row else MISSING,
        "slope": lambda row: interval_text(row, "slope"),
        "R²": lambda row: interval_text(row, "r_squared"),
        "R² between probes": lambda row: interval_text(row, "r_squared_within"),
        "rank correlation": lambda row: interval_text(row, "rank"),
        "at the longest horizon": lambda row: interval_text(row, "rank_at_longest"),
        "joint coefficient": lambda row: interval_text(row, "joint_coefficient"),
    }
    return Table(tuple(columns), [[read(row) for read in columns.values()] for row in rows])


def joint_text(data: StudyData, configuration: str, estimator: str) -> str:
    """The coefficient of determination of all explanations together."""
    rows = data.rows("joint", configuration=configuration, estimator=estimator)
    return interval_text(rows[0], "r_squared") if rows else MISSING


def curvature_table(data: StudyData) -> Table | None:
    """Spectral radii and norms of the longest products, minus one, over all of training."""
    cells = []
    for row in data.rows("curvature", when=_ALL):
        above = MISSING
        if row.get("above_one") is not None:
            above = f"{row['above_one']} of {row['spectra']}, {row['undecided']} undecided"
        cells.append(
            (
                row["configuration"] or "all runs",
                row["operator"],
                row["quantity"],
                plain(row["median"]),
                with_error(row["largest"], row["largest_error"]),
                above,
            )
        )
    if not cells:
        return None
    headings = ("configuration", "operator", "quantity", "median − 1", "largest − 1", "above one")
    return Table(headings, cells)


def term_table(data: StudyData) -> Table | None:
    """The terms of eq. 11 over all of training: their shares of the variance, their factors."""
    rows = data.rows("terms", when=_ALL)
    columns = {
        "variance_share": "own variance",
        "covariance_share": "covariances",
        "step_share": "its step alone",
        "outer_norm": "‖T‖",
        "term_reach": "read by T",
        "mixed_norm": "‖∂g/∂η‖",
        "term_alignment": "|cosine|",
        "path_norm": "‖G‖",
        "path_alignment": "|alignment|",
        "eq11_outer_norm": "‖T‖, eq. 11",
        "eq11_product_norm_minus_one": "‖P‖ − 1",
        "eq11_mixed_norm": "‖N‖",
        "eq11_alignment": "|alignment|, eq. 11",
    }
    known = [name for name in columns if any(row.get(name) is not None for row in rows)]
    cells = [
        (
            ", ".join(filter(None, (row["configuration"], str(row["term"])))),
            *(interval_text(row, name) for name in known),
        )
        for row in rows
    ]
    if not cells:
        return None
    return Table(("term i", *(columns[name] for name in known)), cells)


def cell_table(data: StudyData) -> Table:
    """The state of every cell, and which revisions of hessdiag made it, where that is known."""
    rows = [
        (
            cell["cell"] or "run",
            cell["state"],
            f"{cell['iteration']:,} of {cell['iterations']:,}",
            ", ".join(cell.get("revisions", ())) or MISSING,
            cell.get("message") or "",
        )
        for cell in data.results["cells"]
    ]
    return Table(("cell", "state", "iterations", "made with revision", "message"), rows)


def grid_table(data: StudyData) -> Table:
    """What is common to all cells, and what is varied."""
    rows = [(key, _text(value)) for key, value in data.study.get("common", {}).items()]
    rows += [
        (f"{key} (varied)", _text(value)) for key, value in data.study.get("varied", {}).items()
    ]
    return Table(("setting", "value"), rows)


def settings_table(data: StudyData) -> Table:
    """Every other setting: its value, or its values where they follow what is varied."""
    named = data.study.get("common", {}).keys() | data.study.get("varied", {}).keys()
    settings = data.results.get("settings", {})
    rows = [
        (key, " | ".join(map(_text, found))) for key, found in settings.items() if key not in named
    ]
    return Table(("setting", "value"), rows)


def provenance_table(data: StudyData) -> Table:
    """Where the numbers come from."""
    return Table(("provenance", "value"), provenance_rows(data.study))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)
