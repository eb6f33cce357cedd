"""Intervals from few runs hold what they promise."""

import numpy as np
import pytest

from hessdiag.statistics.clusters import bootstrap_t_interval, cluster_draws, coinciding, members


@pytest.mark.parametrize("clusters", [3, 5, 10])
def test_the_interval_of_a_mean_covers_it_however_few_the_clusters(clusters):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        values = rng.normal(size=clusters)
        draws = cluster_draws(np.arange(clusters), 400, rng)
        found = bootstrap_t_interval(values.mean(), values[draws].mean(axis=1), clusters, 0.95)
        covered += bool(found.low <= 0.0 <= found.high)
    assert 0.92 <= covered / 400 <= 0.98


def test_a_scale_is_undone_and_what_is_not_defined_is_left_out():
    resampled = np.array([[1.0, np.nan], [2.0, np.nan], [4.0, np.nan], [np.nan, np.nan]])
    found = bootstrap_t_interval(np.array([2.0, 1.0]), resampled, 4, 0.9, scale=np.log, back=np.exp)
    assert found.low[0] * found.high[0] == pytest.approx(4.0)  # about 2 on the logarithm
    assert np.isnan([found.low[1], found.high[1]]).all()


def test_one_cluster_has_no_interval():
    found = bootstrap_t_interval(1.0, np.ones(5), 1, 0.95)
    assert np.isnan([found.low, found.high]).all()


def test_members_and_coincidence():
    assert [group.tolist() for group in members(np.array([7, 3, 7]))] == [[1], [0, 2]]
    predicted = {"a": np.array([2.0, 3.0]), "b": np.array([2.001, 3.0]), "c": np.array([2.0, 4.0])}
    assert coinciding(predicted, tolerance=0.01) == {"a": ("b",), "b": ("a",), "c": ()}
