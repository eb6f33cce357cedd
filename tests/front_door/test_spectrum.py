"""The one call for a loss, against the dense Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import hessdiag
from hessdiag import spectra
from tests.oracles.spectra import dense_hessian, mlp_loss, mlp_problem


def loss(params, batch):
    return mlp_loss(params, *batch)


@pytest.fixture(scope="module", params=[(5, 7, 6, 3), (12, 30, 14, 3)], ids=["dense", "lanczos"])
def case(request):
    params, inputs, labels = mlp_problem(np.float32, sizes=request.param, batch=50)
    result = hessdiag.spectrum(loss, params, (inputs, labels), top=4)
    return result, np.linalg.eigvalsh(dense_hessian(lambda p: loss(p, (inputs, labels)), params))


def test_numbers_equal_the_dense_hessian_within_their_errors(case):
    result, truth = case
    data = result.dataset
    assert abs(data.lowest - truth[0]) <= data.lowest_error
    assert abs(data.highest - truth[-1]) <= data.highest_error
    assert abs(data.trace - truth.sum()) <= 5 * data.trace_error + 1e-5 * abs(truth).sum()
    top = truth[np.argsort(-np.abs(truth))[:4]]
    assert (np.abs(data.top_value - top) <= data.top_error).all()
    assert bool(data.top_converged.all())
    negative = np.mean(truth < -1e-6 * truth[-1])
    allowed = data.mass_undecided + 4 * np.nan_to_num(data.mass_negative_error) + 1e-6
    assert abs(data.mass_negative - negative) <= allowed
    assert float(data["cumulative"][-1]) == pytest.approx(1)


def test_it_prints_every_number_with_its_error(case):
    text = str(case[0])
    for words in ("smallest eigenvalue", "largest eigenvalue", "trace", "Largest in modulus"):
        assert words in text
    assert text.count("±") >= 8


def test_it_saves_and_plots(case, tmp_path):
    result, _ = case
    result.plot(tmp_path / "it.svg")
    assert "<svg" in (tmp_path / "it.svg").read_text()
    with xarray.open_dataset(result.save(tmp_path / "it.nc"), engine="h5netcdf") as saved:
        assert saved.identical(result.dataset)


def test_chunks_change_nothing_but_memory():
    params, inputs, labels = mlp_problem(np.float32, batch=50)
    whole = hessdiag.spectrum(loss, params, (inputs, labels)).dataset
    chunked = hessdiag.spectrum(loss, params, (inputs, labels), chunk_size=16).dataset
    np.testing.assert_allclose(chunked.highest, whole.highest, rtol=1e-5)
    np.testing.assert_allclose(chunked.lowest, whole.lowest, rtol=1e-4)


def test_another_operator_can_be_measured():
    params, inputs, labels = mlp_problem(np.float32, batch=50)

    def fisher(p, batch):
        def losses(q):
            return jax.vmap(lambda x, y: mlp_loss(q, x[None], y[None]))(*batch)

        return spectra.empirical_fisher(losses, p)

    found = hessdiag.spectrum(loss, params, (inputs, labels), operator=fisher).dataset
    assert found.lowest >= -found.lowest_error
    assert found.highest > 0


def test_a_loss_that_changes_is_refused():
    changing = iter(range(1000))

    def noisy(params, batch):
        def draw(_):
            return np.float32(next(changing))

        factor = jax.pure_callback(draw, jax.ShapeDtypeStruct((), jnp.float32), jnp.zeros(()))
        return (1 + factor) * loss(params, batch)

    params, inputs, labels = mlp_problem(np.float32)
    with pytest.raises(ValueError, match="not deterministic"):
        hessdiag.spectrum(noisy, params, (inputs, labels))


def test_a_non_symmetric_operator_is_refused_with_its_defect():
    def skew(p, batch):
        del batch
        size = spectra.Space.like(p).size
        shift = jnp.eye(size, k=1)
        return spectra.symmetric(lambda v: shift @ v, jnp.zeros(size))

    params, inputs, labels = mlp_problem(np.float32)
    with pytest.raises(spectra.NonSymmetricOperatorError, match=r"symmetry defect .* exceeds"):
        hessdiag.spectrum(loss, params, (inputs, labels), operator=skew)
