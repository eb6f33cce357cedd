"""What answers need of each configuration, read from the tables of a study's results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hessdiag.analysis.answers import answers
from hessdiag.analysis.configuration import Configuration, Row
from hessdiag.analysis.standings import SENSITIVITY, Evidence, standings
from hessdiag.study import as_read

PARTS = ("curvature", "cuts", "sources", "sensitivity", "mixing", "spread")
ABOUT = "n-step"  # the estimator that explanations speak of


def answered(results: Mapping[str, Any]) -> dict[str, Any]:
    """A study's results with every answer made from their tables.

    Args:
        results: the content of results.json, whose numbers that are not finite are None.
    """
    tables = {name: [as_read(row) for row in rows] for name, rows in results["tables"].items()}
    if "comparisons" not in tables:  # as in results of earlier versions, or of no run yet
        return {"answers": [], **results}
    known = configurations(tables, confidence=results["confidence"])
    return {**results, "answers": answers([*known])}


def configurations(
    tables: Mapping[str, Sequence[Row]], *, confidence: float
) -> Iterator[Configuration]:
    """The configurations in which explanations can be compared, in the order of the tables."""
    compared = [row for row in tables["comparisons"] if row["estimator"] == ABOUT]
    for name in dict.fromkeys(row["configuration"] for row in compared):
        own = {
            part: [row for row in tables.get(part, ()) if row["configuration"] == name]
            for part in PARTS
        }
        found = _evidence([row for row in compared if row["configuration"] == name])
        yield Configuration(name, found, standings(found, confidence=confidence), **own)


def _evidence(rows: Sequence[Row]) -> Evidence:
    """The comparison that these rows are of; what they do not hold is NaN."""
    horizons = sorted({row["horizon"] for row in rows})
    probes = sorted({(row["seed"], row["iteration"], row["when"]) for row in rows})
    at_horizon = {horizon: h for h, horizon in enumerate(horizons)}
    at_probe = {probe: p for p, probe in enumerate(probes)}
    predicted = {row["explanation"]: np.full((len(probes), len(horizons)), np.nan) for row in rows}
    measured = np.full((3, len(probes), len(horizons)), np.nan)
    for row in rows:
        at = at_probe[row["seed"], row["iteration"], row["when"]], at_horizon[row["horizon"]]
        predicted[row["explanation"]][at] = row["predicted"]
        ends = (row.get(f"measured{end}", np.nan) for end in ("", "_low", "_high"))
        measured[:, *at] = [*ends]
    return Evidence(
        horizons,
        ABOUT,
        measured[0],
        {label: values for label, values in predicted.items() if label != SENSITIVITY},
        [seed for seed, _, _ in probes],
        [{"seed": seed, "iteration": at, "when": when} for seed, at, when in probes],
        {label: values for label, values in predicted.items() if label == SENSITIVITY},
        measured[1:],
    )
