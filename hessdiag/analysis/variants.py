"""What variants of a training change at its end, against the first of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.findings import FAILS, HOLDS, Answer
from hessdiag.analysis.frames import chosen, rows
from hessdiag.analysis.learning import ends_by_seed, final_table
from hessdiag.analysis.measured import ALL, Configuration
from hessdiag.analysis.paired import differences
from hessdiag.analysis.questions import Measured, answer, overlapping, quantity

VARIANT = "variant"
_ENDS = ("", "_low", "_high")


def variant_table(
    configurations: Sequence[Configuration], varied: Sequence[str], frontier: pd.DataFrame
) -> pd.DataFrame:
    """A row per variant: the end of the headline, its difference to the first's, and noise.

    Seeds are paired, as those of the same number start alike. Noise is that of the estimator of the
    variant's name, at equal rollouts over that of one n-step estimate, where probes of the first
    variant measured it (`frontier_table`).
    """
    if VARIANT not in varied or len(configurations) < 2:
        return pd.DataFrame()
    first = configurations[0]
    headline = str(first.runs[0].config["problem"]["headline"])
    measured = chosen(frontier, configuration=first.name, when=ALL)
    return pd.DataFrame(
        [
            {"configuration": of.name, VARIANT: of.settings[VARIANT], "series": headline}
            | {"iterations": of.settings["train.iterations"]}
            | _end(of, headline)
            | (_difference(first, of, headline) if of is not first else {})
            | _noise(measured, of.settings[VARIANT])
            for of in configurations
        ]
    )


def _end(of: Configuration, headline: str) -> dict[str, Any]:
    row = next(iter(rows(final_table(of), series=headline)), {})
    return {name: row.get(name, np.nan) for end in _ENDS for name in (f"final{end}",)}


def _difference(first: Configuration, of: Configuration, headline: str) -> dict[str, Any]:
    before, after = ends_by_seed(first)[[headline]], ends_by_seed(of)[[headline]]
    seeds = before.index.intersection(after.index)
    if not len(seeds):
        return {}
    apart: Any = after.loc[seeds] - before.loc[seeds]
    (row,) = differences(apart, of.confidence)
    kept = {f"difference{end}": row[f"difference{end}"] for end in _ENDS}
    return kept | {"count": row["seeds"]}


def _noise(frontier: pd.DataFrame, variant: str) -> dict[str, float]:
    found: Mapping[str, Any] = next(iter(rows(frontier, candidate=variant)), {})
    return {f"noise{end}": float(found.get(f"std{end}", np.nan)) for end in _ENDS}


def ends_higher(of: Measured) -> Answer:
    """Whether the headline of a variant surely ends higher than that of the first one."""
    row = next(iter(of.rows["variants"]), {})
    difference = quantity(row, "difference")
    if not np.isfinite(difference.value):
        return answer()
    names = ("final", "difference", "noise")
    known = {name: quantity(row, name) for name in names}
    numbers = {name: number for name, number in known.items() if np.isfinite(number.value)}
    if difference.low > 0.0:
        return answer(HOLDS, "higher", numbers=numbers)
    if difference.high < 0.0:
        return answer(FAILS, "lower", numbers=numbers)
    return overlapping(difference, 0.0, numbers=numbers)
