"""Averages over seeds: against scipy's intervals, and what happens with few of them."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from hessdiag.analysis.average import columns, logs, over_seeds


def average(seeds, confidence=0.95) -> xr.Dataset:
    """Of one value per probe, by seed; a seed may have fewer probes than others."""
    width = max(len(seed) for seed in seeds)
    padded = [[*seed, *[np.nan] * (width - len(seed))] for seed in seeds]
    return over_seeds(xr.DataArray(padded, dims=("seed", "iteration")), confidence=confidence)


def test_the_interval_is_students_over_the_means_of_the_seeds():
    means = [2.0, 4.0, 2.5]
    made = average([[1.0, 3.0], [4.0], [2.0, 2.5, 3.0]], 0.9)
    expected = stats.t.interval(0.9, 2, loc=np.mean(means), scale=stats.sem(means))
    assert (float(made.low), float(made.high)) == pytest.approx(expected)
    assert float(made.value) == pytest.approx(np.mean(means))
    assert float(made.deviation) == pytest.approx(np.std(means, ddof=1))
    assert (int(made["count"]), made.over.item()) == (3, "seeds")


def test_probes_that_repeat_themselves_add_nothing():
    once = average([[1.0], [2.0], [4.0]])
    xr.testing.assert_allclose(average([[1.0] * 9, [2.0] * 9, [4.0] * 9]), once)


def test_a_single_seed_is_averaged_over_its_probes_and_says_so():
    made = average([[1.0, 2.0, 3.0], []])
    assert (made.over.item(), int(made["count"]), float(made.value)) == ("probes", 3, 2.0)
    low, high = stats.t.interval(0.95, 2, loc=2.0, scale=stats.sem([1.0, 2.0, 3.0]))
    assert (float(made.low), float(made.high)) == pytest.approx((low, high))


def test_places_are_averaged_apart():
    values = np.array([[[1.0, 5.0]], [[3.0, np.inf]], [[8.0, np.nan]]])
    made = over_seeds(xr.DataArray(values, dims=("seed", "iteration", "horizon")), confidence=0.9)
    assert made.value.values.tolist() == [4.0, 5.0]
    assert made["count"].values.tolist() == [3, 1]
    assert made.over.values.tolist() == ["seeds", "probes"]


def test_one_value_has_no_interval_and_none_no_value():
    assert np.isnan(average([[1.0]]).low)
    assert np.isnan(average([[np.nan], []]).value)


def test_logarithms_are_averaged_into_geometric_means_with_positive_ends():
    sizes = xr.DataArray([[1.0], [4.0], [16.0]], dims=("seed", "iteration"))
    made = columns(over_seeds(logs(sizes), confidence=0.95), "std", np.exp)
    low, high = stats.t.interval(0.95, 2, loc=np.log(4.0), scale=stats.sem(np.log([1, 4, 16])))
    assert float(made["std"]) == pytest.approx(4.0)
    expected = (np.exp(low), np.exp(high))
    assert (float(made.std_low), float(made.std_high)) == pytest.approx(expected)


def test_a_size_of_zero_has_no_logarithm_and_no_warning():
    made = logs(xr.DataArray([0.0, 1.0]))
    assert np.isnan(made[0])
    assert made[1] == 0.0


def test_covers_the_truth_as_often_as_it_says():
    values = np.random.default_rng(0).normal(size=(3, 1, 1000))
    made = over_seeds(xr.DataArray(values, dims=("seed", "iteration", "trial")), confidence=0.9)
    held = (made.low <= 0.0) & (made.high >= 0.0)
    assert 0.87 < float(held.mean()) < 0.93
