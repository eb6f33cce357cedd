"""The samples behind a probe's standard deviations are the estimators that training uses."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from hessdiag.errors import NotFiniteError, UsageError
from hessdiag.meta import ESTIMATORS, Options
from hessdiag.meta.streams import run_keys
from hessdiag.probes.mechanism import meta_gradients_of
from hessdiag.probes.variables import prediction_variables
from hessdiag.statistics.mixing import mix_weights
from hessdiag.train.learner import Learner
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by, probe_of

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
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


SAMPLES = jax.random.split(jax.random.key(3), 5)


def ignore(_):
    """No progress is shown."""


@pytest.fixture(scope="module")
def one_by_one(trained):
    """What samples a meta-gradient at a time, and those of the samples."""
    learner, state = trained
    spread = meta_gradients_of(measured_by(learner, resolve(FLAGS)))
    return spread, spread.sample(state, SAMPLES, progress=ignore)


def test_samples_are_the_n_step_meta_gradients(trained, one_by_one):
    (learner, state), (_, sampled) = trained, one_by_one
    assert sampled.shape == (5, 3, 10)
    for horizon in (1, 3):
        estimator, start = (
            ESTIMATORS["n-step"](Options(n=horizon)),
            learner.start(state, SAMPLES[0]),
        )
        single = jax.jit(
            lambda key, e=estimator, s=start: e(learner.system, s, key, ()).meta_gradient
        )
        expected = np.stack([single(key) for key in SAMPLES])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(sampled[:, horizon - 1], expected, atol=1e-4 * scale)


@pytest.mark.parametrize("chunk", [2, 7])
def test_chunks_change_nothing_but_rounding(trained, one_by_one, chunk):
    (learner, state), (_, expected), done = trained, one_by_one, []
    chunked = meta_gradients_of(measured_by(learner, resolve({**FLAGS, "probe.chunk": chunk})))
    together = chunked.sample(state, SAMPLES, progress=done.append)
    np.testing.assert_allclose(together, expected, atol=1e-4 * np.abs(expected).max())
    assert sum(done) == 5
    assert len(done) == -(-5 // chunk)


@pytest.fixture(scope="module")
def prober(trained):
    """With the explanation of docs/examples, which reads norms of products."""
    flags = {"probe.explanations": "seventh_explanation:memory_on_products", "probe.products": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield probe_of(trained[0], resolve(FLAGS | flags))


@pytest.fixture(scope="module")
def data(trained, prober):
    return prober(trained[1], 4, keys=KEYS, progress=ignore)


def test_dataset_is_labelled_and_consistent(data):
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


def loop_of(radii, *, converged=True, operator="update") -> Any:
    """Spectra of an inner loop, as far as predictions read them."""
    shifted = SimpleNamespace(spectral_radius_minus_one=0.0, spectral_radius_minus_one_error=0.0)
    steps = [
        SimpleNamespace(
            radius=SimpleNamespace(minus_one=radius, error=9.0, estimate=0.5),
            ritz=SimpleNamespace(converged=converged),
        )
        for radius in radii
    ]
    hessians = [SimpleNamespace(shifted=shifted) for _ in radii]
    return SimpleNamespace(hessians=hessians, operators={operator: steps}, products={})


def test_predictions_have_the_radii_of_every_operator_with_their_first_order_errors():
    settings = resolve(FLAGS)
    measured = measured_by(Learner(settings), settings)
    label = "E1 spectral radius, update"
    labels, made = prediction_variables(measured, [loop_of([0.0, 2.0, 1.0])], {})
    at = labels.index(label)
    ends = [made["prediction" + end][at] for end in ("_low", "", "_high")]
    np.testing.assert_allclose(ends[1], [1.0, 1 + 3, 1 + 2 + 2 * 3])
    np.testing.assert_allclose(ends[0], [1.0, 1 + 2.5, 1 + 1.5 + 1.5 * 2.5])
    np.testing.assert_allclose(ends[2], [1.0, 1 + 3.5, 1 + 2.5 + 2.5 * 3.5])
    labels, made = prediction_variables(measured, [loop_of([0, 1, 1], converged=False)], {})
    assert np.isnan(made["prediction"][labels.index(label)]).all()


@pytest.mark.parametrize(
    ("constants", "decay"), [({}, 0.9), ({"learning.b1": 0.5}, 0.5), ({"learning.b1": 0.0}, 0.0)]
)
def test_the_memory_of_e4_is_that_of_the_settings(constants, decay):
    settings = resolve({"env": "mrp", "n": 3, "learning.optimiser": "adam"} | constants)
    measured = measured_by(Learner(settings), settings)
    labels, made = prediction_variables(measured, [loop_of([0.0, 2.0, 1.0])], {})
    e4 = made["prediction"][labels.index("E4 optimiser memory, coherent")]
    np.testing.assert_allclose(e4[1] - e4[0], 1.0 + decay)  # the older gradient, after two updates


def test_the_example_of_a_seventh_explanation_predicts_beside_the_others(data):
    """With its numbers by hand."""
    norms = 1.0 + data.product_norm_minus_one.sel(operator="paper").values[0]
    expected = 1.0 + norms[1] * 1.9 + norms[2] * 2.71
    own = data.sel(explanation="E7 memory on products", horizon=3)
    np.testing.assert_allclose(own.prediction, expected)
    np.testing.assert_allclose(
        own.mix_prediction_coherent,
        mix_weights(3) @ (data.prediction.sel(explanation="E7 memory on products").values),
    )


def test_an_explanation_that_cannot_be_found_is_refused_at_the_start():
    with pytest.raises(UsageError, match=r"^probe\.explanations: 'no_such:thing' could not be imp"):
        resolve(FLAGS | {"probe.explanations": ["no_such:thing"]})


def test_a_probe_may_be_abandoned_between_chunks(trained, prober):
    class Stopped(Exception):
        pass

    def stop(done):
        if done == prober.steps - 1:
            raise Stopped

    with pytest.raises(Stopped):
        prober(trained[1], 4, keys=KEYS, progress=stop)


def test_nan_in_a_meta_gradient_is_an_error(trained, one_by_one):
    (_, state), (spread, _) = trained, one_by_one
    broken = state._replace(eta=state.eta.at[0].set(np.nan))
    with pytest.raises(NotFiniteError, match="NaN or infinity in the meta-gradients of a probe"):
        spread.sample(broken, SAMPLES, progress=ignore)


def test_no_steps_no_numbers():
    settings = resolve({**FLAGS, "n": 0})
    learner = Learner(settings)
    data = probe_of(learner, settings)(learner.init(KEYS.init), 4, keys=KEYS, progress=ignore)
    assert not data.data_vars
    assert data.attrs["iteration"] == 4
    assert dataclasses.asdict(settings)["n"] == 0
