"""The paper's numbers stand beside what is like the paper, and beside nothing else."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hessdiag.analysis.frames import rows
from hessdiag.analysis.published import of_the_paper, with_published
from hessdiag.record.documents import dotted
from hessdiag.train.presets import resolve

PAPER = {"env": "snake", "preset": "paper", "n": 5}


def settings(**changes):
    return dotted(dataclasses.asdict(resolve(PAPER | changes)))


def tables(
    when="all",
    estimator="n-step",
    horizon=5,
    series="return",
    *,
    level=False,
    ends_at=2.0,
    **changes,
):
    """A row of final returns and one of growth, with what is published of them."""
    ends = {name + end: 2.0 for name in ("final", "growth") for end in ("", "_low", "_high")}
    final = {name: ends_at for name in ends if name.startswith("final")}
    final = pd.DataFrame([ends | final | {"series": series}])
    place = {"when": when, "estimator": estimator, "horizon": horizon, "group": "all"}
    spread = pd.DataFrame([ends | place])
    return with_published(
        final, spread, settings(estimator=estimator, **changes), levelled_off=level
    )


def published(table: pd.DataFrame) -> tuple[float, float] | None:
    (row,) = rows(table)
    return (row["published"], row["published_deviation"]) if "published" in row else None


@pytest.mark.parametrize(
    ("changes", "growth", "final"),
    [
        ({}, (8.6, 2.1), (97.0, 7.0)),
        ({"estimator": "mix", "horizon": 3}, (1.7, 0.4), (113.0, 12.0)),
        ({"when": "early"}, None, (97.0, 7.0)),
        ({"horizon": 2}, None, (97.0, 7.0)),
        ({"series": "inner loss"}, (8.6, 2.1), None),
        ({"n": 7}, (8.6, 2.1), None),
        ({"kappa": 0.5}, (8.6, 2.1), (97.0, 7.0)),
        ({"estimator": "mix", "kappa": 0.5}, None, None),
    ],
)
def test_what_table_1_says(changes, growth, final):
    """The paper mixes with its own κ, and averages over all of training."""
    made = tables(**changes)
    assert published(made["spread"]) == growth
    assert published(made["final"]) == final


def test_ours_stand_beside_the_published():
    final, growth = rows(tables()["published"])
    assert (final["quantity"], final["estimator"], final["horizon"]) == ("final", "n-step", 5)
    assert (growth["value"], growth["published"]) == (2.0, 8.6)
    assert tables(when="early", n=7)["published"].empty


@pytest.mark.parametrize(
    ("changes", "final", "growth"),
    [
        ({}, "out of reach", "out of reach"),
        ({"level": True}, "not reproduced", "not reproduced"),
        ({"ends_at": 95.0}, "reproduced", "not reproduced"),
        ({"ends_at": 120.0}, "not reproduced", "not reproduced"),
        ({"ends_at": np.nan}, None, "out of reach"),
        ({"estimator": "mix", "horizon": 3}, "out of reach", "reproduced"),
    ],
)
def test_what_has_become_of_each_number(changes, final, growth):
    """A training that ends lower and still rises has not been where the paper was."""
    standings = [row["standing"] for row in rows(tables(**changes)["published"])]
    assert standings == [final, growth]


@pytest.mark.parametrize(
    ("changes", "is_the_papers"),
    [
        ({}, True),
        ({"estimator": "mix"}, True),
        ({"learning.optimiser": "sgd"}, False),
        ({"learning.optimiser": "rmsprop"}, False),
        ({"problem.rows": 6}, False),
        ({"env": "mrp"}, False),
        ({"estimator": "trace"}, False),
        ({"paths": "no-memory"}, False),
    ],
)
def test_nothing_is_published_of_other_configurations(changes, is_the_papers):
    assert of_the_paper(settings(**changes)) == is_the_papers
