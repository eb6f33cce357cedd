"""What cuts remove, and how terms vary together, on samples made to order."""

import numpy as np
import pytest

from hessdiag.statistics import coherence, cut_growth

K = 400


def options(seed=0, resamples=100):
    return {"confidence": 0.95, "resamples": resamples, "rng": np.random.default_rng(seed)}


def with_std(rng, std):
    """(K, …) samples of exactly these standard deviations."""
    raw = rng.normal(size=(K, *np.shape(std)))
    raw -= raw.mean(axis=0)
    return raw / raw.std(axis=0, ddof=1) * np.asarray(std)


def test_share_of_the_log_growth_that_a_cut_removes():
    std = np.array([[[1.0], [4.0], [16.0]], [[1.0], [2.0], [16.0]], [[2.0], [2.0], [2.0]]])
    made = cut_growth(with_std(np.random.default_rng(1), std), **options())
    np.testing.assert_allclose(made.growth.value, [[1, 4, 16], [1, 2, 16], [1, 1, 1]])
    np.testing.assert_allclose(made.removed.value[:, 1:], [[0, 0], [0.5, 0], [1, 1]], atol=1e-12)
    assert np.isnan(made.removed.value[:, 0]).all()
    assert np.all(made.growth.low[:, 1:] <= made.growth.value[:, 1:])


def test_paired_samples_give_narrow_intervals_of_the_share():
    """A cut that halves every sample exactly removes an exactly known share."""
    rng = np.random.default_rng(2)
    full = with_std(rng, [[1.0], [4.0]])
    cut = full * np.array([[1.0], [0.5]])
    made = cut_growth(np.stack([full, cut], axis=1), **options())
    width = made.removed.high[1, 1] - made.removed.low[1, 1]
    spread = made.growth.high[1, 1] - made.growth.low[1, 1]
    assert made.removed.low[1, 1] < 0.5 < made.removed.high[1, 1]
    assert width < 0.5 * spread


def test_constant_meta_parameters_are_left_out():
    rng = np.random.default_rng(3)
    samples = with_std(rng, [[[1.0, 1.0], [3.0, 5.0]]])
    samples[..., 1] = 7.0
    made = cut_growth(samples, **options())
    np.testing.assert_allclose(made.growth.value, [[1, 3]])


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (0.0, 0.0), (-1.0, -1.0)])
def test_coherence(sign, expected):
    """Two terms of equal spread: aligned, independent, opposed."""
    rng = np.random.default_rng(4)
    first = with_std(rng, [1.0])
    other = with_std(rng, [1.0])
    other -= first * (first * other).sum() / (first**2).sum()
    second = sign * first if sign else other / other.std(ddof=1)
    terms = np.stack([first, second], axis=1)[:, None]  # one horizon, two terms
    made = coherence(terms, **options(resamples=50))
    np.testing.assert_allclose(made.coherence.value, [expected], atol=1e-9)
    np.testing.assert_allclose(made.covariance[0, 0, 1], [sign], atol=1e-9)


def test_covariances_sum_to_the_variance_of_the_sum():
    rng = np.random.default_rng(5)
    terms = rng.normal(size=(K, 2, 3, 4)) @ rng.normal(size=(4, 4))
    made = coherence(terms, **options(resamples=20))
    expected = terms.sum(axis=2).var(axis=0, ddof=1)
    np.testing.assert_allclose(made.covariance.sum(axis=(1, 2)), expected)


def test_a_single_term_has_no_coherence():
    terms = np.random.default_rng(6).normal(size=(K, 1, 3, 2)) * np.array([1.0, 0, 0])[:, None]
    assert np.isnan(coherence(terms, **options(resamples=20)).coherence.value).all()
