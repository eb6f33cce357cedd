"""The one call for an inner loop, against a dense Jacobian of the whole loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray
from jax.flatten_util import ravel_pytree

import hessdiag
from tests.oracles.spectra import mlp_loss, mlp_problem

N, ALPHA = 3, 0.3


def loss(params, batch):
    return mlp_loss(params, *batch)


@pytest.fixture(scope="module")
def problem():
    params, inputs, labels = mlp_problem(np.float32, sizes=(4, 6, 3), batch=24)
    return params, (inputs.reshape(N, 8, 4), labels.reshape(N, 8))


@pytest.fixture(scope="module")
def result(problem):
    params, batches = problem
    update = hessdiag.OptaxUpdate(loss, optax.sgd(ALPHA), learning_rate=ALPHA)
    return hessdiag.inner_loop_spectra(
        update, update.init(params), batches, operators=("update",), tolerance=1e-5
    )


def test_the_norm_of_the_whole_product_is_that_of_the_dense_jacobian(problem, result):
    """P_n is the derivative of the last parameters in those after the first update."""
    params, batches = problem
    flat, unravel = ravel_pytree(params)
    update = hessdiag.OptaxUpdate(loss, optax.sgd(ALPHA))

    def after(x, first):
        state = update.init(unravel(x))
        for j in range(first, N):
            state = update(state, jax.tree.map(lambda leaf, j=j: leaf[j], batches))
        return ravel_pytree(state[0])[0]

    second = ravel_pytree(update(update.init(params), jax.tree.map(lambda b: b[0], batches))[0])[0]
    jacobian = jax.jit(jax.jacfwd(lambda x: after(x, 1)))(second)
    truth = np.linalg.norm(np.asarray(jacobian, np.float64), 2) - 1
    data = result.dataset.isel(operator_unroll=0).sel(term=N)
    for name in ("paper", "update"):
        at = data.sel(operator=name)
        assert abs(at.product_norm_minus_one - truth) <= at.product_norm_error + 1e-6
    assert flat.size == 51


def test_sgd_is_the_papers_operator(result):
    radius = result.dataset["operator_radius_minus_one"].isel(operator_unroll=0)
    np.testing.assert_allclose(
        radius.sel(operator="update"), radius.sel(operator="paper"), rtol=1e-3, atol=1e-6
    )


def test_it_prints_plots_and_saves(result, tmp_path):
    text = str(result)
    assert "Spectral radius minus one" in text
    assert "Norm of the product" in text
    result.plot(tmp_path / "it.png")
    assert (tmp_path / "it.png").stat().st_size > 10_000
    with xarray.open_dataset(result.save(tmp_path / "it.nc"), engine="h5netcdf") as saved:
        assert list(saved["operator"].values) == ["paper", "update"]
        assert saved["hessian_max"].attrs["long_name"].startswith("highest eigenvalue")


def test_batches_may_be_a_list_and_the_learning_rate_absent(problem):
    params, batches = problem
    update = hessdiag.OptaxUpdate(loss, optax.adam(1e-2))
    listed = [jax.tree.map(lambda leaf, j=j: leaf[j], batches) for j in range(2)]
    found = hessdiag.inner_loop_spectra(
        update, update.init(params), listed, operators=("preconditioned",), products=False
    )
    assert list(found.dataset["operator"].values) == ["preconditioned"]
    assert "paper_low" not in found.dataset
    assert "preconditioned" in str(found)


def test_an_unknown_operator_is_refused(problem):
    params, batches = problem
    update = hessdiag.OptaxUpdate(loss, optax.sgd(ALPHA))
    with pytest.raises(ValueError, match="operators: newton unknown; allowed: paper, precond"):
        hessdiag.inner_loop_spectra(update, update.init(params), batches, operators=("newton",))


def test_the_update_clips_before_the_optimiser(problem):
    params, batches = problem
    clip = optax.stateless(lambda g, _: jax.tree.map(lambda leaf: 0.5 * leaf, g))
    update = hessdiag.OptaxUpdate(
        loss, optax.sgd(ALPHA), clip=lambda g: clip.update(g, clip.init(g))[0]
    )
    batch = jax.tree.map(lambda leaf: leaf[0], batches)
    after, _ = update(update.init(params), batch)
    gradient = jax.grad(loss)(params, batch)
    expected = jax.tree.map(lambda p, g: p - 0.5 * ALPHA * g, params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), after, expected)
    assert jnp.isfinite(after[0]["weight"]).all()
