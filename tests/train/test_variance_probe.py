"""The samples behind a probe's standard deviations are the estimators that training uses."""

import dataclasses

import jax
import numpy as np
import pytest

from hessdiag.errors import NotFiniteError
from hessdiag.meta import Estimator, meta_step, mix_weights
from hessdiag.train.learner import Learner, run_keys
from hessdiag.train.presets import resolve
from hessdiag.train.probe import Prober
from hessdiag.train.variance_probe import VarianceProbe

KEYS = run_keys(0)

FLAGS = {
    "env": "mrp",
    "n": 3,
    "problem.batch_size": 8,
    "probe.samples": 5,
    "probe.chunk": 1,
    "probe.unrolls": 1,
    "probe.operators": [],
    "probe.products": False,
    "probe.resamples": 200,
    "train.iterations": 9,
}


@pytest.fixture(scope="module")
def trained():
    learner = Learner(resolve(FLAGS))
    state = learner.init(KEYS.init)
    for t in range(3):
        state, _ = learner.step(state, jax.random.fold_in(KEYS.train, t))
    return learner, state


def ignore(_):
    """No progress is shown."""


def test_samples_are_the_n_step_meta_gradients(trained):
    learner, state = trained
    keys = jax.random.split(jax.random.key(3), 5)
    sampled = VarianceProbe(learner.update, resolve(FLAGS)).sample(state, keys, progress=ignore)
    assert sampled.shape == (5, 3, 10)
    for horizon in (1, 3):
        one = jax.jit(
            lambda key, n=horizon: (
                meta_step(
                    Estimator("n-step", n),
                    learner.update,
                    state.inner,
                    state.eta,
                    state.env_state,
                    key,
                ).meta_gradient
            )
        )
        expected = np.stack([one(key) for key in keys])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(sampled[:, horizon - 1], expected, atol=1e-4 * scale)


@pytest.mark.parametrize("chunk", [2, 5, 7])
def test_chunks_change_nothing_but_rounding(trained, chunk):
    learner, state = trained
    keys = jax.random.split(jax.random.key(3), 5)
    done = []
    chunked = resolve({**FLAGS, "probe.chunk": chunk})
    one_by_one = VarianceProbe(learner.update, resolve({**FLAGS, "probe.chunk": 1}))
    together = VarianceProbe(learner.update, chunked).sample(state, keys, progress=done.append)
    expected = one_by_one.sample(state, keys, progress=ignore)
    np.testing.assert_allclose(together, expected, atol=1e-4 * np.abs(expected).max())
    assert done[-1] == 5
    assert len(done) == -(-5 // chunk)


def test_dataset_is_labelled_and_consistent(trained):
    learner, state = trained
    settings = resolve(FLAGS)
    data = Prober(learner, settings).probe(state, 4, keys=KEYS, progress=ignore)
    std = data.meta_gradient.values.astype(float).std(axis=0, ddof=1)
    np.testing.assert_allclose(data["std"].sel(estimator="n-step"), std)
    np.testing.assert_allclose(
        data.growth.sel(estimator="n-step"), (std / std[0]).mean(axis=1), rtol=1e-6
    )
    mixed = np.einsum("i,kim->km", mix_weights(3), data.meta_gradient.values.astype(float))
    np.testing.assert_allclose(
        data["std"].sel(estimator="mix", horizon=3), mixed.std(axis=0, ddof=1)
    )
    radius = 1.0 + data.spectral_radius_minus_one.values[0]
    predicted = 1.0 + radius[2] + radius[2] * radius[1]
    np.testing.assert_allclose(
        data.prediction.sel(explanation="E1 spectral radius", horizon=3), predicted
    )
    weights = mix_weights(3)
    of_mix = data.sel(explanation="E1 spectral radius")
    steps = of_mix.prediction.values
    independent = np.sqrt(np.sum((weights * steps) ** 2))
    np.testing.assert_allclose(of_mix.mix_prediction.sel(horizon=3), independent)
    np.testing.assert_allclose(of_mix.mix_prediction_coherent.sel(horizon=3), weights @ steps)
    assert list(data.meta_parameter.values) == [f"gamma_{i}" for i in range(10)]
    assert all(data[name].attrs["long_name"] and data[name].attrs["units"] for name in data)


def test_a_probe_may_be_abandoned_between_chunks(trained):
    learner, state = trained

    class Stopped(Exception):
        pass

    def stop(done):
        if done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        Prober(learner, resolve(FLAGS)).probe(state, 4, keys=KEYS, progress=stop)


def test_nan_in_a_meta_gradient_is_an_error(trained):
    learner, state = trained
    broken = state._replace(eta=state.eta.at[0].set(np.nan))
    keys = jax.random.split(jax.random.key(3), 5)
    with pytest.raises(NotFiniteError, match="NaN or infinity in the meta-gradients of a probe"):
        VarianceProbe(learner.update, resolve(FLAGS)).sample(broken, keys, progress=ignore)


def test_no_steps_no_numbers():
    settings = resolve({**FLAGS, "n": 0})
    learner = Learner(settings)
    data = Prober(learner, settings).probe(learner.init(KEYS.init), 4, keys=KEYS, progress=ignore)
    assert not data.data_vars
    assert data.attrs["iteration"] == 4
    assert dataclasses.asdict(settings)["n"] == 0
