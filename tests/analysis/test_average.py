"""Averages over seeds: against scipy's intervals, and what happens with few of them."""

import numpy as np
import pytest
from scipy import stats

from hessdiag.analysis.average import logs, over_seeds
from hessdiag.analysis.moments import phase_of


def test_the_interval_is_students_over_the_means_of_the_seeds():
    seeds = [[1.0, 3.0], [4.0], [2.0, 2.5, 3.0]]
    means = [2.0, 4.0, 2.5]
    made = over_seeds(seeds, confidence=0.9)
    expected = stats.t.interval(0.9, 2, loc=np.mean(means), scale=stats.sem(means))
    assert (made.low, made.high) == pytest.approx(expected)
    assert made.value == pytest.approx(np.mean(means))
    assert made.deviation == pytest.approx(np.std(means, ddof=1))
    assert (made.count, made.over) == (3, "seeds")


def test_probes_that_repeat_themselves_add_nothing():
    once = over_seeds([[1.0], [2.0], [4.0]], confidence=0.95)
    assert over_seeds([[1.0] * 9, [2.0] * 9, [4.0] * 9], confidence=0.95) == once


def test_a_single_seed_is_averaged_over_its_probes_and_says_so():
    made = over_seeds([[1.0, 2.0, 3.0], []], confidence=0.95)
    assert (made.over, made.count, made.value) == ("probes", 3, 2.0)
    assert made.low < 2.0 < made.high


def test_one_value_has_no_interval_and_none_no_value():
    assert np.isnan(over_seeds([[1.0]], confidence=0.95).low)
    assert np.isnan(over_seeds([[np.nan], []], confidence=0.95).value)


def test_logarithms_are_averaged_into_geometric_means_with_positive_ends():
    sizes = [[1.0], [4.0], [16.0]]
    made = over_seeds([logs(np.array(seed)).tolist() for seed in sizes], confidence=0.95)
    columns = made.geometric("std")
    low, high = stats.t.interval(0.95, 2, loc=np.log(4.0), scale=stats.sem(np.log([1, 4, 16])))
    assert columns["std"] == pytest.approx(4.0)
    assert (columns["std_low"], columns["std_high"]) == pytest.approx((np.exp(low), np.exp(high)))
    assert over_seeds(sizes, confidence=0.95).low < 0 < columns["std_low"]


def test_a_size_of_zero_has_no_logarithm_and_no_warning():
    made = logs(np.array([0.0, 1.0]))
    assert np.isnan(made[0])
    assert made[1] == 0.0


def test_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        made = over_seeds(rng.normal(size=(3, 1)).tolist(), confidence=0.9)
        held += made.low <= 0.0 <= made.high
    assert 0.87 < held / 1000 < 0.93


def test_thirds_of_training():
    assert [phase_of(t, 9) for t in (0, 2, 3, 5, 6, 8)] == ["early"] * 2 + ["middle"] * 2 + [
        "late"
    ] * 2
