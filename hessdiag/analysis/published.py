"""Published numbers, to stand beside ours.

Bonnet et al. 2021, table 1: Snake 12×12 under Adam, 3 seeds, averaged over training.
"""

from typing import Any

from hessdiag.analysis.moments import ALL
from hessdiag.meta import ESTIMATORS
from hessdiag.train.settings import Settings

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


def with_published(rows: list[dict[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """Rows of final returns and of growth, with the published value where there is one.

    Only what is the paper's own has one: its problem, optimiser, estimators and paths.
    """
    if not _of_the_paper(settings):
        return rows
    return [row | _published(row, settings) for row in rows]


def _of_the_paper(settings: Settings) -> bool:
    problem = {"env": settings.env, **settings.problem}
    how = (settings.learning.optimiser, settings.paths)
    return (
        all(problem.get(key) == value for key, value in PROBLEM.items())
        and how == ("adam", "full")
        and settings.estimator in ESTIMATORS
    )


def _published(row: dict[str, Any], settings: Settings) -> dict[str, float]:
    found, estimator = None, settings.estimator
    if row.get("series") == "return":
        found = FINAL_RETURN.get((estimator, settings.n))
    elif "growth" in row and row.get("when") == ALL:
        estimator = row["estimator"]
        found = STD_RATIO.get((estimator, row["horizon"]))
    if found is None or (estimator == "mix" and settings.kappa is not None):
        return {}
    return {"published": found[0], "published_deviation": found[1]}
