"""What makes numbers less certain than they look, each with a code that stays."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.comparisons import ENDS
from hessdiag.analysis.contest import FEWEST
from hessdiag.analysis.curvature import PAPER
from hessdiag.analysis.findings import Check
from hessdiag.analysis.frames import chosen, rows
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

Tables = Mapping[str, pd.DataFrame]
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
    """All that is doubtful about a study, but for codes that are muted."""
    concerns = []
    compiler = provenance.get("compiler_self_test") or {"passed": True}  # not told: not tested
    if not compiler["passed"]:
        concerns.append(Check("HD005", "", 1, 1))
    if failed := rows(cells, state="failed"):
        concerns.append(Check("HD008", "", len(failed), len(cells)))
    for name in configurations:
        part = {kind: chosen(table, configuration=name) for kind, table in tables.items()}
        for doubts in (_of_quality, _of_signs, _of_samples, _of_runs):
            concerns += doubts(name, part)
    order = sorted(concerns, key=lambda check: check.code)
    return tuple(check for check in order if check.code not in muted)


def _of_quality(name: str, tables: Tables) -> Iterator[Check]:
    doubts = rows(tables["quality"])
    for code, quantities in _QUALITY.items():
        concerned = [row for row in doubts if row["quantity"] in quantities]
        count = sum(int(row["count"]) for row in concerned)
        if count:
            worst = {row["quantity"]: float(row["worst"]) for row in concerned if row["count"]}
            yield Check(code, name, count, sum(int(row["of"]) for row in concerned), worst)


def _of_signs(name: str, tables: Tables) -> Iterator[Check]:
    for row in rows(tables["curvature"], when=ALL, operator=PAPER):
        if row["undecided"] > 0:
            numbers = {"largest_error": float(row["largest_error"])}
            yield Check("HD002", name, int(row["undecided"]), int(row["spectra"]), numbers)


def _of_samples(name: str, tables: Tables) -> Iterator[Check]:
    """Probes whose interval of the growth at the longest horizon is wider than a factor of 1.2.

    It shrinks with the root of the number of samples.
    """
    steps = chosen(tables["comparisons"], estimator="n-step")
    if steps.empty:
        return
    last = chosen(steps, horizon=steps["horizon"].max())
    probes = last.drop_duplicates(["seed", "iteration"], keep="last")
    low, high = probes.reindex(columns=[*ENDS[1:]]).to_numpy(float).T
    half = 0.5 * np.log(high / low)
    wide = int(np.sum(half > np.log(TOLD)))
    if wide:
        factor = float((np.median(half) / np.log(TOLD)) ** 2)
        yield Check("HD004", name, wide, len(half), {"times_the_samples": factor})


def _of_runs(name: str, tables: Tables) -> Iterator[Check]:
    runs = len({row["seed"] for row in rows(tables["comparisons"])})
    if 0 < runs < FEWEST:
        yield Check("HD007", name, runs, FEWEST, {"seeds": float(FEWEST)})
