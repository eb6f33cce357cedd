import numpy as np

from hessdiag.statistics import measure_spread, mixed
from hessdiag.statistics.mixing import mix_weights


def spread(samples, **kwargs):
    settings = {"confidence": 0.95, "resamples": 300, "rng": np.random.default_rng(0)} | kwargs
    return measure_spread(samples, **settings)


def samples(num=50, n=4, m=3, seed=0):
    """Meta-gradients whose std grows as i^1.5."""
    noise = np.random.default_rng(seed).normal(size=(num, n, m))
    return noise * np.arange(1, n + 1)[None, :, None] ** 1.5


def test_values_are_the_plain_statistics():
    x = samples()
    made = spread(x)
    std = x.std(axis=0, ddof=1)
    np.testing.assert_allclose(made.mean.value, x.mean(axis=0))
    np.testing.assert_allclose(made.std.value, std)
    np.testing.assert_allclose(made.ratio.value, std / std[0])
    np.testing.assert_allclose(made.growth.value, (std / std[0]).mean(axis=1))


def test_the_base_has_ratio_one_without_error():
    made = spread(samples())
    for end in made.growth:
        np.testing.assert_allclose(end[0], 1.0, rtol=1e-12)


def test_intervals_hold_the_true_growth():
    made = spread(samples(num=200))
    true = np.arange(1, 5) ** 1.5
    assert (made.growth.low[1:] < true[1:]).all()
    assert (true[1:] < made.growth.high[1:]).all()


def test_common_random_numbers_make_the_ratio_sharp():
    """Horizons that move together have a ratio without spread, however noisy each is."""
    base = np.random.default_rng(1).normal(size=(20, 1, 2))
    made = spread(base * np.array([1.0, 2.0])[None, :, None])
    np.testing.assert_allclose(made.ratio.low[1], 2.0)
    np.testing.assert_allclose(made.ratio.high[1], 2.0)
    assert (made.std.high[1] - made.std.low[1] > 0.1).all()


def test_a_meta_parameter_without_spread_is_left_out():
    x = samples()
    x[:, :, 1] = 0.0
    made = spread(x)
    assert np.isnan(made.ratio.value[:, 1]).all()
    np.testing.assert_allclose(made.growth.value, made.ratio.value[:, [0, 2]].mean(axis=1))
    assert np.isnan(spread(np.zeros((5, 2, 1))).growth.value).all()


def test_mixed_is_the_weighted_sum_of_shorter_horizons():
    x = samples(num=3)
    made = mixed(x, [mix_weights(i) for i in range(1, 5)])
    np.testing.assert_allclose(made[:, 0], x[:, 0])
    np.testing.assert_allclose(made[:, 2], np.einsum("i,kim->km", mix_weights(3), x[:, :3]))
