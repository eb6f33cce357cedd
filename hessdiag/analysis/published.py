"""Published numbers, to stand beside ours.

Bonnet et al. 2021, table 1: Snake 12×12 under Adam, 3 seeds, averaged over training.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.measured import ALL

SIZE = ("rows", "cols")
PROBLEM = {"env": "snake", "rows": 12, "cols": 12}
FINAL_RETURN = {  # (estimator, n): mean, standard deviation over seeds
    ("n-step", 0): (67.0, 3.0),
    ("n-step", 1): (85.0, 28.0),
    ("n-step", 3): (114.0, 15.0),
    ("n-step", 5): (97.0, 7.0),
    ("n-step", 10): (86.0, 9.0),
    ("mix", 3): (115.0, 2.0),
    ("mix", 5): (113.0, 12.0),
}
STD_RATIO = {
    ("n-step", 1): (1.0, 0.0),
    ("n-step", 3): (4.6, 0.5),
    ("n-step", 5): (8.6, 2.1),
    ("n-step", 10): (23.5, 8.4),
    ("mix", 3): (1.7, 0.4),
    ("mix", 5): (2.6, 0.8),
}


def of_the_paper(settings: Mapping[str, Any]) -> bool:
    """Whether problem, optimiser, estimator and paths are the paper's own.

    Args:
        settings: of a run, by dotted key.
    """
    problem = {"env": settings["env"], **{key: settings.get(f"problem.{key}") for key in SIZE}}
    how = (settings["learning.optimiser"], settings["paths"])
    return (
        problem == PROBLEM
        and how == ("adam", "full")
        and settings["estimator"] in ("n-step", "mix")
    )


def with_published(
    final: pd.DataFrame, spread: pd.DataFrame, settings: Mapping[str, Any]
) -> dict[str, pd.DataFrame]:
    """The tables "final" and "spread" with published values, and "published" of both.

    Args:
        final: the ends of training of one configuration.
        spread: its growth.
        settings: of its runs, by dotted key.
    """
    estimator, n, kappa = (settings[key] for key in ("estimator", "n", "kappa"))
    returns = FINAL_RETURN if estimator != "mix" or kappa is None else {}
    is_return = final["series"] == "return"
    final = _beside(final, [(estimator, n) if here else None for here in is_return], returns)
    if len(spread):
        ratios = {key: end for key, end in STD_RATIO.items() if key[0] != "mix" or kappa is None}
        is_whole = (spread["when"] == ALL) & (spread["group"] == "all")
        keys = zip(spread["estimator"], spread["horizon"], strict=True)
        places = [key if here else None for key, here in zip(keys, is_whole, strict=True)]
        spread = _beside(spread, places, ratios)
    known = final.assign(estimator=estimator, horizon=n)
    parts = [_long(known, "final"), _long(spread, "growth")]
    return {"final": final, "spread": spread, "published": pd.concat(parts, ignore_index=True)}


def _beside(
    table: pd.DataFrame, places: list[Any], values: Mapping[Any, tuple[float, float]]
) -> pd.DataFrame:
    nothing = (np.nan, np.nan)
    found = np.array([values.get(place, nothing) for place in places]).reshape(-1, 2)
    if np.isnan(found).all():
        return table
    return table.assign(published=found[:, 0], published_deviation=found[:, 1])


def _long(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Our value beside the published one, a row each."""
    if "published" not in table:
        return pd.DataFrame()
    names = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    columns = ["estimator", "horizon", *names.values(), "published", "published_deviation"]
    known = table.dropna(subset=["published"]).rename(columns=names)
    return known.reindex(columns=columns).assign(quantity=name)
