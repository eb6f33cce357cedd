"""Published numbers, to stand beside ours (Bonnet et al. 2021, table 1: Snake 12×12, 3 seeds)."""

from typing import Any

from hessdiag.train.settings import Settings

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
    """Rows of final returns and of growth, with the published value where there is one."""
    of_the_paper = {"env": "snake", "rows": 12, "cols": 12}
    ours = {"env": settings.env, **settings.problem}
    if any(ours.get(key) != value for key, value in of_the_paper.items()):
        return rows
    return [row | _published(row, settings) for row in rows]


def _published(row: dict[str, Any], settings: Settings) -> dict[str, float]:
    found = None
    if row.get("series") == "return":
        found = FINAL_RETURN.get((settings.estimator, settings.n))
    elif "growth" in row:
        found = STD_RATIO.get((row["estimator"], row["horizon"]))
    return {"published": found[0], "published_deviation": found[1]} if found else {}
