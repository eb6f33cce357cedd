"""Regressions of the growth on predictions, against numpy's least squares and scipy's ranks."""

import numpy as np
import pytest
from scipy import stats

from hessdiag.analysis.fit import fits
from hessdiag.statistics import mixed_growth

RUNS, PROBES, HORIZONS = 6, 4, 3
CLUSTERS = np.repeat(np.arange(RUNS), PROBES).tolist()
OPTIONS = {"confidence": 0.95, "resamples": 300}


def made(measured, predicted, clusters=CLUSTERS):
    return fits(measured, predicted, clusters, rng=np.random.default_rng(0), **OPTIONS)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    shape = (RUNS * PROBES, HORIZONS)
    true, other = np.exp(rng.normal(size=shape)), np.exp(rng.normal(size=shape))
    measured = 1.5 * true**2 * np.exp(0.1 * rng.normal(size=shape))
    return measured, {"true": true, "other": other, "constant": np.full(shape, 3.0)}


def test_alone(data):
    measured, predicted = data
    (true, other, constant), _ = made(measured, predicted)
    for fit in (true, other):
        x, y = np.log(predicted[fit.label]).ravel(), np.log(measured).ravel()
        assert fit.slope.value == pytest.approx(np.polyfit(x, y, 1)[0])
        assert fit.r_squared.value == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
        expected, _ = stats.spearmanr(predicted[fit.label].ravel(), measured.ravel())
        assert fit.rank.value == pytest.approx(expected)
        at_longest, _ = stats.spearmanr(predicted[fit.label][:, -1], measured[:, -1])
        assert fit.rank_at_longest.value == pytest.approx(at_longest)
        assert fit.slope.low < fit.slope.value < fit.slope.high
    assert true.slope.low < 2.0 < true.slope.high
    assert true.slope.high - true.slope.low < 0.2
    assert other.rank.low < 0.0 < other.rank.high
    for interval in (constant.slope, constant.r_squared, constant.r_squared_within, constant.rank):
        assert np.isnan([*interval]).all()


def test_between_probes(data):
    """Least squares with an intercept for every horizon."""
    measured, predicted = data
    (true, *_), _ = made(measured, predicted)
    x, y = np.log(predicted["true"]), np.log(measured)
    intercepts = np.broadcast_to(np.eye(HORIZONS), (len(x), HORIZONS, HORIZONS))
    columns = np.concatenate([x[..., None], intercepts], axis=-1).reshape(-1, 1 + HORIZONS)
    _, (residual,), *_ = np.linalg.lstsq(columns, y.ravel())
    within = ((y - y.mean(axis=0)) ** 2).sum()
    assert true.r_squared_within.value == pytest.approx(1.0 - residual / within)
    assert true.r_squared_within.low < true.r_squared_within.value < true.r_squared_within.high


def test_what_only_rises_with_the_horizon_says_nothing_of_probes(data):
    """A large pooled R², and none between probes: the prediction is the same at all of them."""
    measured, _ = data
    rising = np.broadcast_to(np.array([1.0, 3.0, 9.0]), measured.shape)
    (fit,), _ = made(measured * rising, {"rising": rising})
    assert fit.r_squared.value > 0.1
    assert np.isnan(fit.r_squared_within.value)


def test_jointly(data):
    measured, predicted = data
    _, joint = made(measured, predicted)
    assert joint is not None
    assert joint.labels == ("true", "other", "constant")
    columns = [np.ones(measured.size)] + [np.log(predicted[k]).ravel() for k in ("true", "other")]
    expected, *_ = np.linalg.lstsq(np.stack(columns, axis=1), np.log(measured).ravel())
    np.testing.assert_allclose(joint.coefficients.value[:2], expected[1:])
    assert np.isnan(joint.coefficients.value[2])
    assert joint.coefficients.low[1] < 0.0 < joint.coefficients.high[1]
    assert joint.r_squared.value > 0.95


def test_predictions_that_coincide_enter_once(data):
    measured, predicted = data
    twice = {"a": predicted["true"], "b": predicted["true"] * 1.001, "c": predicted["other"]}
    _, joint = made(measured, twice)
    assert joint is not None
    assert joint.labels == ("a", "c")


def test_intervals_are_clustered():
    """Probes that repeat their run's measurement add nothing: the interval stays as wide."""
    rng = np.random.default_rng(2)
    x, y = np.exp(rng.normal(size=(2, 10, 1)))
    runs = list(range(10))
    (once,), _ = made(y, {"x": x}, runs)
    (often,), _ = made(
        np.repeat(y, 20, 0), {"x": np.repeat(x, 20, 0)}, np.repeat(runs, 20).tolist()
    )
    for one, other in zip(once.slope, often.slope, strict=True):
        assert one == pytest.approx(other)


def test_what_is_not_finite_is_left_out(data):
    measured, predicted = data
    holes = {**predicted, "other": np.where(measured > 1, np.nan, 1.0)}
    assert [fit.label for fit in made(measured, holes)[0]] == ["true", "constant"]
    assert made(np.full_like(measured, np.nan), predicted) == ([], None)


def test_mixes_of_independent_and_of_equal_noise():
    """Against the std of simulated mixes."""
    rng = np.random.default_rng(3)
    growth, weights = np.array([1.0, 3.0]), [np.array([1.0]), np.array([0.6, 0.4])]
    noise = rng.normal(size=(200_000, 2))
    for coherent, drawn in ((False, noise), (True, noise[:, :1] * np.ones(2))):
        mix = (drawn * growth * weights[1]).sum(axis=1)
        expected = [1.0, mix.std() / drawn[:, 0].std()]
        predicted = mixed_growth(growth, weights, coherent=coherent)
        np.testing.assert_allclose(predicted, expected, rtol=0.01)


def test_published_ratios_of_the_mixes():
    """Independent noise with Adam's memory: the 1.57 and 2.48 of the closed form."""
    gains = np.cumsum((1 - 0.9 ** np.arange(1, 6)) / 0.1)
    weights = [_weights(i) for i in range(1, 6)]
    predicted = mixed_growth(gains, weights, coherent=False)
    np.testing.assert_allclose(predicted[[2, 4]], [1.57, 2.48], atol=0.005)


def _weights(i: int) -> np.ndarray:
    kappa = 1 - 1 / i
    raw = kappa ** np.arange(i)
    return raw / raw.sum()
