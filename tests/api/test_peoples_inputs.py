"""Losses as people bring them, each a kind that other tools get wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import hessdiag
from hessdiag import spectra


def fourier_power(params, batch):
    """The mean power of a real Fourier transform: complex inside, real outside."""
    return 0.5 * jnp.mean(jnp.abs(jnp.fft.rfft(params * batch)) ** 2)


@pytest.mark.parametrize("size", [16, 300])
def test_complex_numbers_inside_a_loss(size):
    """Its Hessian is known: D Re(F* F) D over the number of frequencies."""
    weights = np.linspace(1, 2, size)
    frequencies = size // 2 + 1
    transform = scipy.linalg.dft(size)[:frequencies]
    dense = (transform.conj().T @ transform).real * np.outer(weights, weights) / frequencies
    expected = np.linalg.eigvalsh(dense)
    data = hessdiag.spectrum(fourier_power, jnp.arange(float(size)), jnp.asarray(weights)).dataset
    np.testing.assert_allclose(data.highest, expected[-1], rtol=1e-4)
    np.testing.assert_allclose(data.lowest, expected[0], atol=1e-4 * expected[-1])


def test_complex_numbers_inside_an_inner_loop():
    import optax

    update = hessdiag.OptaxUpdate(fourier_power, optax.sgd(1e-2), learning_rate=1e-2)
    batches = jnp.broadcast_to(jnp.linspace(1, 2, 16), (2, 16))
    result = hessdiag.inner_loop_spectra(update, update.init(jnp.arange(16.0)), batches)
    whole = hessdiag.spectrum(fourier_power, jnp.arange(16.0), batches[0]).dataset
    measured = result.dataset.hessian_max.isel(unroll=0, inner_step=0)
    np.testing.assert_allclose(measured, whole.highest, rtol=1e-5)


EXAMPLES = jax.random.normal(jax.random.key(3), (60, 3))


def squares(params, batch):
    return (batch @ params) ** 2


def total(params, batch):
    return jnp.sum(squares(params, batch))


@pytest.mark.parametrize("chunk_size", [20, 7, 1])
def test_a_mean_in_chunks_is_measured(chunk_size):
    def mean(params, batch):
        return jnp.mean(squares(params, batch))

    whole = hessdiag.spectrum(mean, jnp.ones(3), EXAMPLES).dataset
    chunked = hessdiag.spectrum(mean, jnp.ones(3), EXAMPLES, chunk_size=chunk_size).dataset
    np.testing.assert_allclose(chunked.highest, whole.highest, rtol=1e-5)


@pytest.mark.parametrize(("chunk_size", "ratio"), [(20, "2"), (1, "0.5")])
def test_a_sum_in_chunks_is_refused_with_the_ratio(chunk_size, ratio):
    words = rf"chunk_size: .* no mean over examples.* {ratio} times"
    with pytest.raises(ValueError, match=words):
        hessdiag.spectrum(total, jnp.ones(3), EXAMPLES, chunk_size=chunk_size)


def test_a_sum_in_one_chunk_is_itself():
    whole = hessdiag.spectrum(total, jnp.ones(3), EXAMPLES).dataset
    chunk = hessdiag.spectrum(total, jnp.ones(3), EXAMPLES, chunk_size=60).dataset
    np.testing.assert_allclose(chunk.highest, whole.highest, rtol=1e-6)


def test_statistics_of_a_batch_in_chunks_are_refused():
    def normalised(params, batch):
        outputs = batch @ params
        return jnp.mean(((outputs - outputs.mean()) / outputs.std()) ** 4)

    with pytest.raises(ValueError, match=r"chunk_size: .* no mean over examples"):
        hessdiag.spectrum(normalised, jnp.ones(3), EXAMPLES, chunk_size=20)


def test_a_loss_that_is_no_number_is_told_first():
    """log of a negative number: NaN, with derivatives that are finite."""

    def of_log(params, batch):
        return jnp.mean(jnp.log(params * batch))

    result = hessdiag.spectrum(of_log, jnp.array([-0.5, 0.7]), jnp.ones(2))
    assert np.isnan(result.dataset.loss)
    assert not result.dataset.converged
    assert str(result).startswith(result.alarms()[0])
    sound = hessdiag.spectrum(of_log, jnp.array([0.5, 0.7]), jnp.ones(2))
    assert sound.alarms() == []
    np.testing.assert_allclose(sound.dataset.loss, np.log([0.5, 0.7]).mean(), rtol=1e-6)


@pytest.mark.parametrize("width", [5, 60])
def test_leaves_that_are_no_parameters_are_held_and_named(width):
    """An index table and a function beside the weights change nothing but the notes."""
    keys = jax.random.split(jax.random.key(0), 3)
    batch = jax.random.normal(keys[0], (32, 6))
    weights = {
        "w": 0.4 * jax.random.normal(keys[1], (6, width)),
        "v": 0.4 * jax.random.normal(keys[2], (width,)),
    }

    def fit(params, inputs):
        return jnp.mean((jnp.tanh(inputs @ params["w"]) @ params["v"] - inputs.sum(-1)) ** 2)

    def hessian(params, inputs):
        return spectra.hessian(lambda p: fit(p, inputs), params)

    alone = hessdiag.spectrum(fit, weights, batch)
    others = {"idx": jnp.arange(100), "key": jax.random.key(0), "act": jnp.tanh}
    beside = hessdiag.spectrum(fit, weights | others, batch)
    for name in ("mass_negative", "lowest", "highest", "trace"):
        np.testing.assert_array_equal(beside.dataset[name], alone.dataset[name])
    assert alone.notes() == []
    assert beside.dataset.attrs["held"] == "act, idx, key"
    with pytest.raises(ValueError, match="params: act, idx, key are no floating numbers"):
        hessdiag.spectrum(fit, weights | others, batch, operator=hessian)


def test_a_bag_of_words_is_symmetric():
    """Few of many parameters matter; the eigenvalues are those of a small Gram matrix."""
    random, size, count = np.random.default_rng(1), 200_000, 100
    rows = random.integers(0, size, (count, 40))
    targets = random.normal(size=count).astype(np.float32)
    words = scipy.sparse.csr_array(
        (np.ones(rows.size), rows.ravel(), np.arange(0, rows.size + 1, 40)), (count, size)
    )
    truth = np.linalg.eigvalsh(2 / count * (words @ words.T).toarray())

    def fit(params, batch):
        return jnp.mean((params[batch[0]].sum(axis=1) - batch[1]) ** 2)

    batch = (rows, targets)
    data = hessdiag.spectrum(fit, jnp.zeros(size), batch, starts=2, matvecs=16).dataset
    assert abs(data.highest - truth[-1]) <= data.highest_error
    assert abs(data.lowest) <= data.lowest_error
    assert abs(data.trace - truth.sum()) <= 2 * data.trace_error
