"""Published numbers, to stand beside ours.

Bonnet et al. 2021, table 1: Snake 12×12 under Adam, 3 seeds, averaged over training.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hessdiag.analysis.learning import LAST
from hessdiag.analysis.measured import ALL

PAPERS = {
    "env": "snake",
    "problem.rows": 12,
    "problem.cols": 12,
    "learning.optimiser": "adam",
    "paths": "full",
}
TABLE_1 = {  # (estimator, n): final return and std ratio, each with its deviation over seeds
    ("n-step", 0): (67.0, 3.0, np.nan, np.nan),
    ("n-step", 1): (85.0, 28.0, 1.0, 0.0),
    ("n-step", 3): (114.0, 15.0, 4.6, 0.5),
    ("n-step", 5): (97.0, 7.0, 8.6, 2.1),
    ("n-step", 10): (86.0, 9.0, 23.5, 8.4),
    ("mix", 3): (115.0, 2.0, 1.7, 0.4),
    ("mix", 5): (113.0, 12.0, 2.6, 0.8),
}


REPRODUCED, MISSED, OUT_OF_REACH = "reproduced", "not reproduced", "out of reach"
"""How a published number stands: our interval meets it, one deviation to each side, or does not;
or it is of trainings that went further than ours, which end lower and have not levelled off."""


def of_the_paper(settings: Mapping[str, Any]) -> bool:
    """Whether a run's problem, optimiser, estimator and paths are the paper's own."""
    is_alike = all(settings.get(key) == value for key, value in PAPERS.items())
    return is_alike and settings["estimator"] in ("n-step", "mix")


def with_published(
    final: pd.DataFrame,
    spread: pd.DataFrame,
    settings: Mapping[str, Any],
    *,
    levelled_off: bool,
) -> dict[str, pd.DataFrame]:
    """The tables "final" and "spread" with published values, and "published" of both.

    `levelled_off`: whether our returns have.
    """
    estimator, n, kappa = (settings[key] for key in ("estimator", "n", "kappa"))
    known = {key: row for key, row in TABLE_1.items() if key[0] != "mix" or kappa is None}
    is_return = final["series"] == "return"
    returns = known.get((estimator, n), ())[:2]
    final = _beside(final, [returns if here else () for here in is_return])
    our_returns: Any = final[is_return]
    went_as_far = levelled_off or _reach(our_returns, returns)
    if len(spread):
        is_whole = (spread["when"] == ALL) & (spread["group"] == "all")
        places = zip(spread["estimator"], spread["horizon"], is_whole, strict=True)
        ratios = [known.get((name, i), ())[2:] if here else () for name, i, here in places]
        spread = _beside(spread, ratios)
    final_rows = final.assign(estimator=estimator, horizon=n)
    ours = [
        _with_standing(_long(rows, name), went_as_far)
        for rows, name in ((final_rows, "final"), (spread, "growth"))
    ]
    return {"final": final, "spread": spread, "published": pd.concat(ours, ignore_index=True)}


def with_ends_of_curves(
    final: pd.DataFrame, curves: pd.DataFrame, settings: Mapping[str, Any]
) -> dict[str, pd.DataFrame]:
    """The table "final" with the mean of each curve's last part, and "published" of both.

    That is the part that ends where our training did, at equal updates. Where no deviation over
    seeds is published, it is what a plot can be read to; where one seed is, that of our seeds.
    """
    end = settings["train.iterations"]
    last: Any = curves[curves["iteration"].between((1 - LAST) * end, end)]
    last = last.assign(deviation=last["deviation"].fillna(last["read_to"]))
    ends: Any = last.groupby("series")[["mean", "deviation"]].mean()
    ends = ends.fillna({"deviation": final.set_index("series")["deviation"]})
    known = [tuple(ends.loc[name]) if name in ends.index else () for name in final["series"]]
    final = _beside(final, known)
    names = {"estimator": settings["estimator"], "horizon": settings["n"]}
    return {"final": final, "published": _with_standing(_long(final.assign(**names), "final"))}


def _beside(table: pd.DataFrame, values: list[tuple[float, ...]]) -> pd.DataFrame:
    numbers = np.array([value or (np.nan, np.nan) for value in values]).reshape(-1, 2)
    if np.isnan(numbers).all():
        return table
    return table.assign(published=numbers[:, 0], published_deviation=numbers[:, 1])


def _long(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Our value beside the published one, a row each."""
    if "published" not in table:
        return pd.DataFrame()
    names = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    columns = ["estimator", "horizon", *names.values(), "published", "published_deviation"]
    known = table.dropna(subset=["published"]).rename(columns=names)
    return known.reindex(columns=columns).assign(quantity=name)


def _reach(final: pd.DataFrame, returns: tuple[float, ...]) -> bool:
    """Whether our returns may end as high as the published."""
    if not returns or not len(final):
        return False
    return bool(final["final_high"].iloc[0] >= returns[0] - returns[1])


def standing(row: Mapping[str, Any], went_as_far: bool = True) -> str | None:
    """How a published number stands; None where ours has no interval.

    Tables made before this was kept in them are of trainings that are taken to have gone as far.
    """
    if "standing" in row:
        return row["standing"] if isinstance(row["standing"], str) else None
    if not np.isfinite(row["low"]):
        return None
    low, high = (row["published"] + sign * row["published_deviation"] for sign in (-1, 1))
    if row["low"] <= high and row["high"] >= low:
        return REPRODUCED
    return MISSED if went_as_far else OUT_OF_REACH


def _with_standing(table: pd.DataFrame, went_as_far: bool = True) -> pd.DataFrame:
    if not len(table):
        return table
    return table.assign(standing=[standing(row, went_as_far) for row in table.to_dict("records")])
