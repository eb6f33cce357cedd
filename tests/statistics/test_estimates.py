"""Bias, spread and correlation of estimates whose distribution is known."""

import numpy as np
import pytest

from hessdiag.statistics import errors


def drawn(bias, std, *, samples=4000, replicates=1, seed=0, size=4):
    """Normal estimates about exact + bias."""
    rng = np.random.default_rng(seed)
    exact = np.arange(1.0, size + 1.0) + np.zeros((replicates, 1))
    noise = std * rng.standard_normal((replicates, samples, size))
    return exact[:, None] + bias + noise, exact


SQUARED = 30.0  # of the exact one's norm


def test_known_errors_are_found():
    found = errors(*drawn(0.5, 2.0))
    expected = {"bias": np.sqrt(4 * 0.25 / SQUARED), "variance": 16 / SQUARED, "std": 8.0}
    for name, value in expected.items():
        low, high = found[name].interval(0.95)
        assert low < value < high
        assert found[name].value == pytest.approx(value, rel=0.05)


def test_what_sampling_adds_is_no_bias():
    """The mean of few noisy estimates is far from exact, and yet unbiased."""
    values = [errors(*drawn(0.0, 5.0, samples=16, seed=seed))["bias"] for seed in range(30)]
    assert sum(value.interval(0.95)[0] <= 0 for value in values) >= 26


def test_resampling_adds_no_bias_either():
    """Of many meta-parameters the noise of a mean hardly varies, and a resample's has it twice."""
    for seed in range(10):
        low, _ = errors(*drawn(0.0, 5.0, samples=64, seed=seed, size=100))["bias"].interval(0.95)
        assert low == 0.0


def test_intervals_of_a_small_bias_hold_it():
    """As large as the mean's own noise."""
    truth = np.sqrt(4 * 0.25 / SQUARED)
    ends = [
        errors(*drawn(0.5, 2.0, samples=16, seed=seed))["bias"].interval(0.95) for seed in range(40)
    ]
    assert sum(low <= truth <= high for low, high in ends) >= 34


def test_estimates_along_the_exact_one_correlate_with_it():
    assert errors(*drawn(0.3, 1e-9, samples=8))["correlation"].value == pytest.approx(1.0)
    noisy = errors(*drawn(0.0, 3.0))["correlation"].value
    rng = np.random.default_rng(1)
    exact = np.arange(1.0, 5.0)
    each = [np.corrcoef(exact, exact + 3 * rng.standard_normal(4))[0, 1] for _ in range(4000)]
    assert noisy == pytest.approx(np.mean(each), abs=0.03)


def test_replicates_are_resampled_as_wholes():
    """Where they differ, intervals are wider than those of one with as many samples."""
    several, exact = drawn(0.0, 0.1, samples=50, replicates=6)
    shift = np.linspace(-2, 2, 6)[:, None, None]
    low, high = errors(several + shift, exact)["bias"].interval(0.95)
    assert high - low > 0.1
