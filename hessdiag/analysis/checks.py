"""What makes numbers less certain than they look, each with a code that stays."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.comparisons import ENDS
from hessdiag.analysis.contest import FEWEST
from hessdiag.analysis.curvature import PAPER
from hessdiag.analysis.findings import Check
from hessdiag.analysis.frames import Row, rows
from hessdiag.analysis.measured import ALL

CODES = {
    "HD001": "ends of spectra, operators or products not converged",
    "HD002": "sign of the spectral radius minus one unresolved",
    "HD003": "start vectors disagree by more than their errors",
    "HD004": "too few samples to tell a factor of 1.2",
    "HD005": "the compiler's self-test failed",
    "HD006": "NaN or infinity in a probe",
    "HD007": "too few runs to compare explanations",
    "HD008": "runs failed",
}
"""What each code is about."""

Tables = Mapping[str, Sequence[Row]]
TOLD = 1.2  # factor of the growth that samples should tell
_QUALITY = {"HD001": ("ends", "operators", "products"), "HD003": ("starts",), "HD006": ("finite",)}


def checks(
    tables: Mapping[str, pd.DataFrame],
    configurations: Sequence[str],
    *,
    provenance: Mapping[str, Any],
    cells: pd.DataFrame,
    muted: Collection[str] = (),
) -> tuple[Check, ...]:
    """All that is doubtful.

    Args:
        tables: of the study.
        configurations: their names.
        provenance: where its numbers come from.
        cells: its cells with their states.
        muted: codes that are not to be told.
    """
    found = [*_of_the_compiler(provenance), *_of_cells(cells)]
    for name in configurations:
        own = {part: rows(table, configuration=name) for part, table in tables.items()}
        for part in (_of_quality, _of_signs, _of_samples, _of_runs):
            found += part(name, own)
    order = sorted(found, key=lambda check: check.code)
    return tuple(check for check in order if check.code not in muted)


def _of_the_compiler(provenance: Mapping[str, Any]) -> Iterator[Check]:
    outcome = provenance.get("compiler_self_test") or {"passed": True}  # not told: not tested
    if not outcome["passed"]:
        yield Check("HD005", "", 1, 1)


def _of_cells(cells: pd.DataFrame) -> Iterator[Check]:
    failed = rows(cells, state="failed")
    if failed:
        yield Check("HD008", "", len(failed), len(cells))


def _of_quality(name: str, tables: Tables) -> Iterator[Check]:
    for code, quantities in _QUALITY.items():
        chosen = [row for row in tables["quality"] if row["quantity"] in quantities]
        count = sum(int(row["count"]) for row in chosen)
        if count:
            worst = {row["quantity"]: float(row["worst"]) for row in chosen if row["count"]}
            yield Check(code, name, count, sum(int(row["of"]) for row in chosen), worst)


def _of_signs(name: str, tables: Tables) -> Iterator[Check]:
    for row in tables["curvature"]:
        if row["when"] == ALL and row["operator"] == PAPER and row["undecided"] > 0:
            numbers = {"largest_error": float(row["largest_error"])}
            yield Check("HD002", name, int(row["undecided"]), int(row["spectra"]), numbers)


def _of_samples(name: str, tables: Tables) -> Iterator[Check]:
    """Probes whose interval of the growth at the longest horizon is wider than a factor of 1.2.

    It shrinks with the root of the number of samples.
    """
    steps = [row for row in tables["comparisons"] if row["estimator"] == "n-step"]
    last = max((row["horizon"] for row in steps), default=0)
    ends = {
        (row["seed"], row["iteration"]): [row.get(end, np.nan) for end in ENDS[1:]]
        for row in steps
        if row["horizon"] == last
    }
    half = np.array([0.5 * np.log(high / low) for low, high in ends.values()])
    wide = int(np.sum(half > np.log(TOLD)))
    if wide:
        factor = float((np.median(half) / np.log(TOLD)) ** 2)
        yield Check("HD004", name, wide, len(half), {"times_the_samples": factor})


def _of_runs(name: str, tables: Tables) -> Iterator[Check]:
    runs = len({row["seed"] for row in tables["comparisons"]})
    if 0 < runs < FEWEST:
        yield Check("HD007", name, runs, FEWEST, {"seeds": float(FEWEST)})
