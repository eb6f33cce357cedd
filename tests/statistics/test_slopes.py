"""Exponents of power laws from noisy points."""

import numpy as np
import pytest

from hessdiag.statistics import power_law

X = np.array([2.0, 4.0, 8.0, 16.0, 32.0])


def points(exponent, noise, rng):
    truth = 3.0 * X**exponent
    values = truth * np.exp(noise * rng.standard_normal(5))
    return values, values[:, None] * np.exp(noise * rng.standard_normal((5, 400)))


def test_intervals_hold_the_exponent_as_often_as_they_say():
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        slope, number = power_law(X, *points(-0.7, 0.1, rng), confidence=0.95)
        held += slope.low <= -0.7 <= slope.high
        assert number == 5
    assert 180 <= held <= 199


def test_points_that_are_not_known_do_not_count():
    values, draws = points(1.0, 0.01, np.random.default_rng(1))
    draws[-1] -= values[-1]  # its interval reaches zero
    slope, number = power_law(X, values, draws, confidence=0.95)
    assert number == 4
    assert slope.value == pytest.approx(1.0, abs=0.05)
    draws[:3] = 0.0
    slope, number = power_law(X, values, draws, confidence=0.95)
    assert number == 1
    assert np.isnan(slope.value)
