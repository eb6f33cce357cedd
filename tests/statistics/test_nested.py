"""Shares of the variance against models whose shares are known."""

import numpy as np

from hessdiag.statistics import nested_shares, share_of_draws

K, N, M = 1500, 3, 1


def model(rng, effects, noise, *, interaction=0.0):
    """Meta-gradients f_i = Σ_{j<i} effects_j τ_j + noise·τ̃ (+ interaction·τ_0 τ_1), in pairs."""

    def value(inner, validation):
        made = []
        for i in range(1, N + 1):
            total = inner[..., :i] @ np.asarray(effects[:i], float) + noise * validation[..., i - 1]
            if i > 1:
                total = total + interaction * inner[..., 0] * inner[..., 1]
            made.append(total)
        return np.repeat(np.stack(made, axis=-1)[..., None], M, axis=-1)

    inner = rng.normal(size=(K, N))
    pairs = np.stack([value(inner, rng.normal(size=(K, N))) for _ in range(2)], axis=1)
    alone = []
    for j in range(N):
        other = rng.normal(size=(K, N))
        other[:, j] = inner[:, j]
        alone.append(value(other, rng.normal(size=(K, N))))
    return pairs, np.stack(alone, axis=1)


def shares(pairs, alone, *, resamples=200):
    rng = np.random.default_rng(0)
    return nested_shares(pairs, alone, confidence=0.99, resamples=resamples, rng=rng)


def test_shares_of_an_additive_model():
    effects, noise = (1.0, 2.0, 3.0), 2.0
    made = shares(*model(np.random.default_rng(1), effects, noise))
    for i in range(1, N + 1):
        total = sum(e**2 for e in effects[:i]) + noise**2
        for interval, truth in (
            (made.validation, noise**2 / total),
            (made.inner, 1 - noise**2 / total),
        ):
            assert interval.low[i - 1] <= truth <= interval.high[i - 1]
        for j in range(i):
            truth = effects[j] ** 2 / total
            assert made.steps.low[i - 1, j] <= truth <= made.steps.high[i - 1, j]
        assert np.isnan(made.steps.value[i - 1, i:]).all()


def test_validation_and_inner_shares_sum_to_one():
    made = shares(*model(np.random.default_rng(2), (1.0, 1.0, 1.0), 0.5), resamples=20)
    np.testing.assert_allclose(made.validation.value + made.inner.value, 1.0)


def test_interaction_belongs_to_no_single_step():
    pairs, alone = model(np.random.default_rng(3), (1.0, 1.0, 1.0), 0.0, interaction=2.0)
    made = shares(pairs, alone)
    assert abs(made.steps.value[2].sum() - 3 / 7) < 0.06
    assert made.inner.low[2] <= 1.0 <= made.inner.high[2] + 1e-12


def test_pure_validation_noise_has_no_inner_share():
    made = shares(*model(np.random.default_rng(4), (0.0, 0.0, 0.0), 1.0))
    assert np.all(made.inner.low < 0.0)
    assert np.all(made.inner.high > 0.0)
    assert np.all(made.validation.low < 1.0)
    assert np.all(made.validation.high > 1.0)


def test_meta_parameters_that_never_vary_are_left_out():
    pairs, alone = model(np.random.default_rng(5), (1.0, 1.0, 1.0), 1.0)
    constant = (np.full_like(array, 3.0) for array in (pairs, alone))
    widened = [np.concatenate(two, axis=-1) for two in zip((pairs, alone), constant, strict=True)]
    made = shares(*widened, resamples=20)
    assert np.isfinite(made.validation.value).all()


def drawn(rng, number, between, within):
    """(K, 4, 2) means over the first 1, 2, 4, 8 draws within unrolls; of two meta-parameters."""
    inner = rng.normal(size=(number, 1, 2)) * np.sqrt(between)
    each = inner + rng.normal(size=(number, 8, 2)) * np.sqrt(within)
    return np.stack([each[:, :count].mean(axis=1) for count in (1, 2, 4, 8)], axis=1)


def share(means, *, resamples=200):
    how = {"confidence": 0.95, "resamples": resamples, "rng": np.random.default_rng(0)}
    return share_of_draws(means, (1, 2, 4, 8), **how)


def test_a_share_from_several_draws_is_the_models():
    means = drawn(np.random.default_rng(4), 20_000, np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    assert abs(share(means, resamples=100).value - (1 / 2 + 1 / 4) / 2) < 0.01
    nothing = share(np.zeros((5, 4, 2)), resamples=100)
    assert np.isnan(nothing.value)


def test_its_interval_covers_the_truth_and_is_narrow():
    rng, hits, widths = np.random.default_rng(5), 0, []
    for _ in range(60):
        found = share(drawn(rng, 96, np.ones(2), 2 * np.ones(2)))
        hits += found.low <= 2 / 3 <= found.high
        widths.append(found.high - found.low)
    assert hits >= 52
    assert np.median(widths) < 0.2
