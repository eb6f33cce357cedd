"""Bias of truncated estimates, with the floor that Monte Carlo leaves taken off."""

import numpy as np

from hessdiag.statistics import bias_to, squared_bias

K, TRIALS = 50, 400


def draw(rng, shift):
    """An oracle and two estimates of it, off by 0 and by `shift`, sharing half of their noise."""
    oracle = rng.normal(size=(K, 3))
    own = rng.normal(size=(K, 2, 3))
    return oracle, 0.5 * oracle[:, None] + own + np.array([0.0, shift])[:, None]


def test_the_squared_bias_is_unbiased():
    """Its mean over trials is the truth, where without the correction it is the floor."""
    rng = np.random.default_rng(0)
    made = [bias_to(*draw(rng, 0.3)) for _ in range(TRIALS)]
    squares = np.array([squared_bias(bias).mean(axis=1) for bias in made])
    naive = np.array([(bias.distance**2).mean(axis=1) for bias in made])
    error = squares.std(axis=0) / np.sqrt(TRIALS)
    floor = (0.25 + 1.0) / K  # variance of estimate − oracle over K
    assert np.all(np.abs(squares.mean(axis=0) - [0.0, 0.09]) < 4 * error)
    np.testing.assert_allclose(naive.mean(axis=0) - squares.mean(axis=0), floor, rtol=0.05)


def test_common_random_numbers_take_their_part_of_the_error_away():
    rng = np.random.default_rng(1)
    oracle = rng.normal(size=(K, 2))
    bias = bias_to(oracle, oracle[:, None] + 0.25)
    np.testing.assert_allclose(bias.distance, 0.25)
    np.testing.assert_allclose(bias.error, 0.0, atol=1e-15)


def test_the_oracle_has_no_bias_to_itself():
    oracle = np.random.default_rng(2).normal(size=(K, 2))
    np.testing.assert_array_equal(squared_bias(bias_to(oracle, oracle[:, None])), 0.0)
