"""The paper's numbers stand beside what is like the paper, and beside nothing else."""

import pytest

from hessdiag.analysis.published import with_published
from hessdiag.train.presets import resolve

PAPER = {"env": "snake", "preset": "paper", "n": 5}


def growth(estimator: str, horizon: int, **place) -> dict:
    return {"estimator": estimator, "horizon": horizon, "growth": 2.0} | place


def published(row: dict, **settings) -> tuple[float, float] | None:
    (made,) = with_published([row], resolve(PAPER | settings))
    assert row.items() <= made.items()
    return (made["published"], made["published_deviation"]) if "published" in made else None


@pytest.mark.parametrize(
    ("row", "settings", "value"),
    [
        (growth("n-step", 5, when="all"), {}, (8.6, 2.1)),
        (growth("mix", 3, when="all"), {"n": 1}, (1.7, 0.4)),
        ({"series": "return"}, {}, (97.0, 7.0)),
        ({"series": "return"}, {"estimator": "mix", "n": 3}, (115.0, 2.0)),
    ],
)
def test_what_table_1_says(row, settings, value):
    assert published(row, **settings) == value


@pytest.mark.parametrize(
    "settings",
    [
        {"learning.optimiser": "sgd"},
        {"learning.optimiser": "rmsprop"},
        {"problem.rows": 6},
        {"env": "mrp"},
        {"estimator": "trace"},
        {"paths": "no-memory"},
    ],
)
def test_nothing_is_published_of_other_configurations(settings):
    assert published(growth("n-step", 5, when="all"), **settings) is None
    assert published({"series": "return"}, **settings) is None


def test_the_paper_mixes_with_its_own_kappa():
    assert published(growth("mix", 5, when="all"), kappa=0.5) is None
    assert published(growth("n-step", 5, when="all"), kappa=0.5) == (8.6, 2.1)
    assert published({"series": "return"}, kappa=0.5, estimator="mix") is None


@pytest.mark.parametrize(
    "row",
    [
        growth("n-step", 5, when="early"),
        growth("n-step", 5, iteration=3),
        growth("n-step", 2, when="all"),
        {"series": "inner loss"},
    ],
)
def test_only_what_the_table_averages_is_published(row):
    assert published(row) is None
