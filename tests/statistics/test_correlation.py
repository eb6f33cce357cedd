import numpy as np
import pytest
from scipy.stats import spearmanr

from hessdiag.statistics import rank_correlation


def test_value_is_spearmans_and_the_interval_holds_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    made = rank_correlation(x, y, confidence=0.95)
    assert made is not None
    assert made.value == pytest.approx(spearmanr(x, y)[0])
    assert -1 <= made.low < made.value < made.high <= 1


def test_covers_the_truth_about_as_often_as_it_says():
    """For bivariate normal pairs Spearman's ρ is (6/π) arcsin(r/2)."""
    rng, r, held = np.random.default_rng(1), 0.6, 0
    truth = 6 / np.pi * np.arcsin(r / 2)
    for _ in range(500):
        x = rng.normal(size=20)
        y = r * x + np.sqrt(1 - r**2) * rng.normal(size=20)
        made = rank_correlation(x, y, confidence=0.95)
        assert made is not None
        held += made.low <= truth <= made.high
    assert 0.92 <= held / 500 <= 0.98


def test_too_few_pairs_or_no_variation_decide_nothing():
    assert rank_correlation(np.arange(3.0), np.arange(3.0), confidence=0.95) is None
    assert rank_correlation(np.ones(9), np.arange(9.0), confidence=0.95) is None
