"""The published curves stand beside the runs that they are of, and beside no others."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hessdiag.analysis.published import with_ends_of_curves
from hessdiag.analysis.published_curves import published_curves
from hessdiag.record.documents import dotted
from hessdiag.study.grid import planned
from hessdiag.train.presets import resolve

CHAIN = {"env": "chain", "preset": "paper", "n": 1}


def of(**changes):
    return published_curves(dotted(dataclasses.asdict(resolve(CHAIN | changes))))


def at(curves, series, iteration):
    (row,) = curves[(curves.series == series) & (curves.iteration == iteration)].to_dict("records")
    return row["mean"]


@pytest.mark.parametrize(
    ("changes", "series", "iteration", "mean"),
    [
        ({}, "gamma", 3049, 0.902),
        ({"estimator": "bootstrapped"}, "gamma", 1049, 0.973),
        ({"problem.outer_critic": True}, "return", 10049, 1.0337),
        ({"problem.outer_critic": True, "estimator": "bootstrapped"}, "return", 10049, 1.0355),
        ({"n": 0}, "gamma", 49, 0.95),
        ({}, "outer_advantage", 4049, 0.1047),
        ({"problem.normalise_advantages": True}, "outer_advantage", 49999, 9.4779),
        ({"problem.normalise_advantages": True, "n": 0}, "outer_advantage", 49999, 8.399),
    ],
)
def test_what_was_published(changes, series, iteration, mean):
    assert at(of(**changes), series, iteration) == pytest.approx(mean, abs=2e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 2},
        {"estimator": "mix", "n": 3},
        {"problem.normalise_advantages": True, "problem.entropy": 0.0},
        {"problem.batch_size": 64},
        {"learning.meta_learning_rate": 0.05},
        {"learning.optimiser": "adam"},
        {"target_updates": 2, "estimator": "bootstrapped"},
        {"env": "mrp"},
    ],
)
def test_nothing_was_published_of_other_runs(changes):
    assert published_curves(dotted(dataclasses.asdict(resolve(CHAIN | changes)))).empty


@pytest.mark.parametrize(
    ("study", "settings", "returns", "advantages"),
    [
        ("outer-critic", {}, [False] + [True] * 4, [False] + [True] * 4),
        ("outer-critic-normalised", {}, [True] * 5, [True] * 5),
        ("outer-critic-snake", {}, [True] * 5, [False] + [True] * 4),
        ("outer-critic-snake", {"problem.normalise_advantages": True}, [True] * 5, [False] * 5),
    ],
)
def test_every_configuration_of_the_studies_has_its_curve(study, settings, returns, advantages):
    cells = planned(study, None, settings, {"seed": [0]}).cells()
    curves = [published_curves(dotted(dataclasses.asdict(cell.settings))) for cell in cells]
    assert all("gamma" in set(curve.series) for curve in curves)
    assert ["return" in set(curve.series) for curve in curves] == returns
    assert ["outer_advantage" in set(curve.series) for curve in curves] == advantages


def test_published_ends_on_snake():
    """The last evaluations, as the published data has them."""
    cells = planned("outer-critic-snake", None, {}, {"seed": [1]}).cells()
    ends = {}
    for cell in cells:
        curve = published_curves(dotted(dataclasses.asdict(cell.settings)))
        key = cell.settings.n, cell.settings.estimator, cell.settings.problem["outer_critic"]
        ends[key] = at(curve, "return", 29200)
    assert ends[1, "n-step", True] > 33
    assert ends[0, "n-step", False] < ends[1, "n-step", False] < ends[1, "n-step", True]


def test_a_run_of_ones_own_has_none():
    assert published_curves({"seed": 0}).empty


def test_ends_of_training_stand_beside_the_ends_of_curves():
    """Points of our last twentieth alone; what a plot can be read to, or our own deviation."""
    curves = pd.DataFrame(
        {
            "series": ["return", "return", "return", "gamma", "advantage", "return"],
            "iteration": [10, 96, 99, 97, 97, 140],  # the last one is of a longer training
            "mean": [0.0, 1.0, 2.0, 0.9, 0.1, 9.0],
            "deviation": [0.1, 0.1, 0.3, np.nan, np.nan, 0.1],
            "read_to": [np.nan, np.nan, np.nan, 0.0005, np.nan, np.nan],
        }
    )
    final = pd.DataFrame(
        {
            "series": ["return", "inner loss", "gamma", "advantage"],
            "final": [1.4, 0.0, 0.9001, 0.2],
            "final_low": [1.3, 0.0, 0.9, 0.1],
            "final_high": [1.45, 0.0, 0.9002, 0.3],
            "deviation": [0.5, 0.0, 0.01, 0.07],
        }
    )
    settings = {"train.iterations": 100, "estimator": "n-step", "n": 1}
    tables = with_ends_of_curves(final, curves, settings)
    published = tables["published"]
    assert published["published"].tolist() == pytest.approx([1.5, 0.9, 0.1])
    assert published["published_deviation"].tolist() == pytest.approx([0.2, 0.0005, 0.07])
    assert published["value"].tolist() == [1.4, 0.9001, 0.2]
    assert tables["final"]["published"].isna().tolist() == [False, True, False, False]
