"""The one call for a loss, against the dense Hessian."""

import re

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
    assert abs(data.trace - truth.sum()) <= 1.5 * data.trace_error + 1e-5 * abs(truth).sum()
    top = truth[np.argsort(-np.abs(truth))[:4]]
    assert (np.abs(data.top_value - top) <= data.top_error).all()
    assert bool(data.top_converged.all())
    negative = np.mean(truth < -1e-6 * truth[-1])
    assert abs(data.mass_negative - negative) <= 1.5 * data.mass_negative_error + 1e-12
    assert float(data["cumulative"][-1]) == pytest.approx(1)


def test_all_products_are_counted(case):
    """Four starts of 60 at least, 30 for the trace, and the largest; or the dense matrix's."""
    result, truth = case
    data = result.dataset
    assert data.matvecs == data.spent.sum()
    if len(truth) <= spectra.DENSE_LIMIT:
        assert data.spent.sel(part="matrix") == len(truth)
    else:
        assert data.spent.sel(part=["ends", "density"]).sum() >= 4 * 60
        assert data.spent.sel(part="trace") == 30
        assert data.spent.sel(part="largest") > 0


def test_errors_of_nodes_are_saved_with_them(case):
    result, truth = case
    data = result.dataset
    distance = np.abs(data.ritz_value.values[..., None] - truth).min(axis=-1)
    assert (distance <= data.ritz_error).all()


def test_everything_is_labelled_and_says_where_it_comes_from(case):
    data = case[0].dataset
    for name, variable in data.variables.items():
        assert variable.attrs["long_name"], name
        assert variable.dtype.kind in "bUT" or variable.attrs["units"] == "1", name
    assert data.attrs["seed"] == 0
    assert data.attrs["tolerance"] == 1e-4
    assert data.attrs["dtype"] == "float32"
    assert data.attrs["jax_version"] == jax.__version__
    assert data.attrs["hessdiag_version"]


def test_what_casts_doubt_is_printed_where_there_is_any(case):
    """Above 1 some start missed an end; beyond sqrt(eps) = 3.5e-4 values may be counted twice."""
    result, _ = case
    sound = result.dataset.assign(start_disagreement=1.0, orthogonality=3e-4)
    text = str(hessdiag.SpectrumResult(sound))
    assert "disagree" not in text
    assert "orthogonal" not in text
    doubtful = result.dataset.assign(start_disagreement=2.5, orthogonality=4e-4, converged=True)
    text = str(hessdiag.SpectrumResult(doubtful))
    assert re.search(r"starts disagree by +2\.50 times their errors", text)
    assert re.search(r"basis orthogonal to +4\.00e−4", text)
    assert re.search(r"ends converged +yes, but the basis is not orthogonal", text)


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


def fisher(params, batch):
    def losses(p):
        return jax.vmap(lambda x, y: mlp_loss(p, x[None], y[None]))(*batch)

    return spectra.empirical_fisher(losses, params)


def test_another_operator_can_be_measured_in_chunks_too():
    params, inputs, labels = mlp_problem(np.float32, batch=50)
    whole, chunked = (
        hessdiag.spectrum(
            loss, params, (inputs, labels), operator=fisher, chunk_size=chunk_size
        ).dataset
        for chunk_size in (None, 16)
    )
    assert whole.lowest >= -whole.lowest_error
    assert whole.highest > 0
    np.testing.assert_allclose(chunked.highest, whole.highest, rtol=1e-5)


def diagonal_of(*entries: float) -> hessdiag.SpectrumResult:
    return hessdiag.spectrum(
        loss,
        jnp.zeros(len(entries)),
        None,
        operator=lambda *_: spectra.diagonal(jnp.array(entries)),
        top=1,
    )


def test_only_the_sign_may_be_undecided():
    """Two is no special eigenvalue, though it is one for a step of gradient descent."""
    found = diagonal_of(2.0, 1.0, -1.0, 0.0).dataset
    assert (found.mass_negative, found.mass_zero, found.mass_undecided) == (0.25, 0.25, 0)


def test_products_that_are_not_finite_are_said_to_be_none():
    found = diagonal_of(1.0, np.nan)
    assert "no: a product is not finite" in str(found)
    assert not np.isfinite(found.dataset.mass_negative)
    assert not found.dataset.top_converged.any()
    assert found.plot().axes


def test_an_operator_elsewhere_than_on_the_parameters_is_refused():
    with pytest.raises(ValueError, match=r"maps 3 numbers to 3; allowed: .* the 2 of"):
        hessdiag.spectrum(
            loss, jnp.zeros(2), None, operator=lambda *_: spectra.diagonal(jnp.ones(3))
        )


def test_a_loss_that_python_draws_anew_is_refused():
    """A draw at trace time is one number within a program, and another one in the next."""
    random = np.random.default_rng(0)

    def noisy(params, batch):
        return random.uniform(1, 2) * loss(params, batch)

    params, inputs, labels = mlp_problem(np.float32)
    with pytest.raises(ValueError, match="the loss is not deterministic"):
        hessdiag.spectrum(noisy, params, (inputs, labels))


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
