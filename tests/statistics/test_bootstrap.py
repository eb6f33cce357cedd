import numpy as np
import pytest

from hessdiag.statistics import bca_interval, bca_interval_of_moments


def interval(statistic, samples, seed=0, resamples=1000, confidence=0.95):
    rng = np.random.default_rng(seed)
    return bca_interval(statistic, samples, confidence=confidence, resamples=resamples, rng=rng)


def test_covers_the_true_std_ratio_about_as_often_as_it_says():
    """Paired normal samples, K = 32: the share of intervals that hold the truth."""
    rng = np.random.default_rng(1)
    trials, true_ratio, held = 400, 3.0, 0
    for trial in range(trials):
        x = rng.normal(size=32)
        y = true_ratio * (0.6 * x + 0.8 * rng.normal(size=32))
        made = bca_interval_of_moments(
            lambda _, std: std[..., 1] / std[..., 0],
            np.stack([x, y], axis=1),
            confidence=0.95,
            resamples=500,
            rng=np.random.default_rng(trial),
        )
        held += made.low <= true_ratio <= made.high
    assert 0.90 <= held / trials <= 0.99


def test_equals_scipy():
    scipy_stats = pytest.importorskip("scipy.stats")
    samples = np.random.default_rng(2).exponential(size=60)
    ours = interval(lambda s: s.std(axis=0, ddof=1), samples, resamples=20_000)
    theirs = scipy_stats.bootstrap(
        (samples,),
        lambda s, axis: s.std(axis=axis, ddof=1),
        method="BCa",
        n_resamples=20_000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    np.testing.assert_allclose([ours.low, ours.high], theirs, rtol=0.02)


def test_wider_at_higher_confidence_and_holds_the_value():
    samples = np.random.default_rng(4).normal(size=(20, 3))
    narrow = interval(lambda s: s.mean(axis=0), samples, confidence=0.5)
    wide = interval(lambda s: s.mean(axis=0), samples, confidence=0.99)
    assert (wide.low < narrow.low).all()
    assert (narrow.high < wide.high).all()
    assert (narrow.low < narrow.value).all()
    assert (narrow.value < narrow.high).all()


def test_a_constant_statistic_is_its_own_interval():
    made = interval(lambda _: np.ones(2), np.random.default_rng(5).normal(size=10))
    np.testing.assert_array_equal(made.low, 1.0)
    np.testing.assert_array_equal(made.high, 1.0)


def test_two_samples_are_enough():
    made = interval(lambda s: s.std(axis=0, ddof=1), np.array([[1.0], [3.0]]))
    assert made.low <= made.value <= made.high


def statistic_of_moments(mean, std):
    return np.concatenate([mean, std, std * mean[..., :1]], axis=-1)


def test_of_moments_is_the_same_interval():
    """Against the plain bootstrap, with the same resamples; far from zero, where squares cancel."""
    samples = 1e4 + np.random.default_rng(6).exponential(size=(40, 4)) * np.array([1, 2, 3, 40])
    plain = interval(
        lambda s: statistic_of_moments(s.mean(axis=0), s.std(axis=0, ddof=1)),
        samples,
    )
    fast = bca_interval_of_moments(
        statistic_of_moments,
        samples,
        confidence=0.95,
        resamples=1000,
        rng=np.random.default_rng(0),
    )
    for ours, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_of_moments_of_equal_samples_has_no_spread():
    made = bca_interval_of_moments(
        lambda _, std: std,
        np.full((5, 2), 0.1),
        confidence=0.95,
        resamples=100,
        rng=np.random.default_rng(0),
    )
    for end in made:
        np.testing.assert_array_equal(end, 0.0)
