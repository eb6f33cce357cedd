"""Phases by what was learned: curves whose phases are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hessdiag.analysis.measured import Configuration
from hessdiag.analysis.phases import phase_of, third
from hessdiag.record.run_directory import RunRecord
from hessdiag.record.study_directory import CellRecord, CellStatus

ITERATIONS = 2000


def phases(curve, at=(50, 300, 700, 1200, 1900), *, iterations=ITERATIONS, until=ITERATIONS):
    """Of a training whose return follows a curve of its share, with noise."""
    told = np.arange(until)
    noise = np.random.default_rng(0).normal(0, 0.5, until)
    metrics = pd.DataFrame({"iteration": told, "metrics.return": curve(told / iterations) + noise})
    config = {"problem": {"headline": "return"}}
    phase = phase_of(RunRecord(Path(), config, {}, metrics, ()), iterations)
    return [phase(iteration) for iteration in at]


def test_a_training_that_levels_off_is_late_where_it_has():
    late = ["early", "middle", "late", "late", "late"]
    assert phases(lambda t: 35 * (1 - np.exp(-8 * t))) == late
    assert phases(lambda t: 7 - 35 * (1 - np.exp(-8 * t))) == late


def test_a_late_rise_is_early_for_most_of_training():
    rise = phases(lambda t: 20 * np.clip((t - 0.6) / 0.2, 0, 1))
    assert rise == ["early", "early", "early", "early", "late"]


def test_nothing_is_late_where_the_return_still_rises():
    assert phases(lambda t: 14 * t) == ["early", "early", "middle", "middle", "middle"]


def test_what_is_known_of_a_training_under_way_counts():
    curve = lambda t: 14 * t  # noqa: E731
    assert phases(curve, (50, 700), until=800) == ["early", "middle"]


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_where_the_metric_came_nowhere_thirds_are_meant(noise):
    thirds = [third(t, ITERATIONS) for t in (50, 300, 700, 1200, 1900)]
    assert thirds == ["early", "early", "middle", "middle", "late"]
    assert phases(lambda t: noise * np.sin(500 * t)) == thirds
    assert phases(lambda t: t, until=5) == thirds


def test_thirds_of_training():
    names = [third(t, 9) for t in (0, 2, 3, 5, 6, 8)]
    assert names == ["early"] * 2 + ["middle"] * 2 + ["late"] * 2


def test_seeds_at_one_iteration_may_be_in_different_phases():
    cells = []
    for seed, curve in enumerate((lambda t: 35 * (1 - np.exp(-8 * t)), lambda t: 14 * t**3)):
        told = np.arange(ITERATIONS)
        metrics = pd.DataFrame({"iteration": told, "metrics.return": curve(told / ITERATIONS)})
        probe = xr.Dataset({"std": 1.0 + seed}, attrs={"iteration": 700, "samples": 4})
        run = RunRecord(Path(), {"problem": {"headline": "return"}}, {}, metrics, (probe,))
        status = CellStatus("finished", ITERATIONS)
        cells.append(CellRecord(f"seed={seed}", "", seed, ITERATIONS, status, run))
    of = Configuration("x", cells, 0.95)
    by_phase = of.by_phase(of.by_seed["std"]).sel(iteration=700)
    assert by_phase.when.values.tolist() == ["early", "late", "all"]
    late, early, every = (by_phase.sel(when=name) for name in ("late", "early", "all"))
    np.testing.assert_array_equal(late, [1.0, np.nan])
    np.testing.assert_array_equal(early, [np.nan, 2.0])
    np.testing.assert_array_equal(every, [1.0, 2.0])
