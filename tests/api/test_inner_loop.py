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


def test_everything_is_labelled_and_says_where_it_comes_from(result):
    for name, variable in result.dataset.variables.items():
        assert variable.attrs["long_name"], name
        assert variable.dtype.kind not in "fiu" or variable.attrs["units"] == "1", name
    attributes = result.dataset.attrs
    assert attributes["seed"] == 0
    assert attributes["tolerance"] == 1e-5
    assert attributes["dtype"] == "float32"
    assert attributes["jax_version"] == jax.__version__
    assert attributes["hessdiag_version"]


def radii_shown(result, **changed) -> str:
    """The last column of the second table's first row, with other numbers."""
    at = {"operator_unroll": 0, "inner_step": 0, "operator": 1}
    data = result.dataset.copy(deep=True)
    for name, value in changed.items():
        data[f"operator_radius_{name}"][at] = value
    text = str(hessdiag.InnerLoopResult(data))
    row = text[text.index("Spectral radius") :].splitlines()[4]
    return row.split("  ")[-1].strip()


def test_the_first_order_error_is_shown_where_the_bound_says_nothing(result):
    """The rule of the report: beyond the value and twice the estimate, or infinite."""
    assert radii_shown(result, minus_one=0.5, error=0.4, estimate=0.1) == "0.5 ± 0.4"
    assert radii_shown(result, minus_one=0.5, error=0.6, estimate=0.1) == "≈ 0.50 ± 0.10"
    assert radii_shown(result, minus_one=0.5, error=np.inf, estimate=np.inf) == "≈ 0.500 ± ∞"
    assert radii_shown(result, minus_one=0.5, error=0.6, estimate=np.nan) == "0.5 ± 0.6"
    assert radii_shown(result, minus_one=np.nan) == "–"


def test_it_says_where_products_are_not_finite_and_why(result):
    def notes(name, **at):
        data = result.dataset.copy(deep=True)
        data[name].loc[at] = np.nan
        return hessdiag.InnerLoopResult(data).notes()

    assert result.notes() == []
    (loss_fails,) = notes("hessian_max", inner_step=1)
    assert loss_fails.startswith("Hessian: no finite product at inner step 1: the loss or a")
    (rule_fails,) = notes("operator_radius_minus_one", inner_step=[0, 2], operator="update")
    assert rule_fails.startswith("update: no finite product at inner steps 0, 2: there the deriv")
    (both,) = notes("operator_radius_minus_one", inner_step=[1])
    assert both.startswith("paper, update: ")
    (transposed,) = notes("product_norm_minus_one", term=3, operator="update")
    assert transposed.startswith("update: no finite product at term 3: ")


def test_it_says_what_has_not_converged(result):
    assert not result.notes()
    data = result.dataset.copy(deep=True)
    data["product_converged"].loc[{"operator": "update", "term": 3}] = 0
    data["start_disagreement"].loc[{"inner_step": [0, 2]}] = [4.0, 0.5]
    apart, missed = hessdiag.InnerLoopResult(data).notes()
    assert apart.startswith("Hessian: starts found other ends at inner step 0, up to 4 times")
    assert missed == "update: tolerance not met at term 3; a larger max_matvecs may."


def test_notes_are_printed(result):
    data = result.dataset.copy(deep=True)
    data["operator_radius_minus_one"].loc[{"operator": "update"}] = np.nan
    printed = str(hessdiag.InnerLoopResult(data)).splitlines()[-1]
    assert printed == hessdiag.InnerLoopResult(data).notes()[0]


def test_adam_can_be_differentiated_where_the_gradient_was_always_zero(problem):
    """Weights of an input that is always zero; the forward values are optax's to the last bit."""
    params, (inputs, labels) = problem
    optimiser = optax.adam(ALPHA)
    update = hessdiag.OptaxUpdate(loss, optimiser)
    batch = (inputs[0].at[:, 0].set(0), labels[0])

    @jax.jit
    def both(params):
        gradient = jax.grad(loss)(params, batch)
        change, _ = optimiser.update(gradient, optimiser.init(params), params)
        after = jax.grad(lambda p: loss(update(update.init(p), batch)[0], batch))
        return (
            update(update.init(params), batch)[0],
            optax.apply_updates(params, change),
            after(params),
        )

    ours, optaxs, meta_gradient = both(params)
    jax.tree.map(np.testing.assert_array_equal, ours, optaxs)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(meta_gradient))


def test_a_loss_that_python_draws_anew_is_refused(problem):
    params, batches = problem
    random = np.random.default_rng(0)
    update = hessdiag.OptaxUpdate(
        lambda p, batch: random.uniform(1, 2) * loss(p, batch), optax.sgd(ALPHA)
    )
    with pytest.raises(ValueError, match="the update is not deterministic"):
        hessdiag.inner_loop_spectra(update, update.init(params), batches)


def test_batches_may_be_a_list_and_the_learning_rate_absent(problem):
    params, batches = problem
    update = hessdiag.OptaxUpdate(loss, optax.adam(1e-2))
    listed = [jax.tree.map(lambda leaf, j=j: leaf[j], batches) for j in range(2)]
    wanted = {"operators": ("preconditioned",), "products": False, "max_matvecs": 2}
    found = hessdiag.inner_loop_spectra(update, update.init(params), listed, **wanted)
    assert list(found.dataset["operator"].values) == ["preconditioned"]
    assert "paper_low" not in found.dataset
    assert "preconditioned" in str(found)
    assert found.notes() == [
        "preconditioned: tolerance not met at inner steps 0, 1; a larger max_matvecs may."
    ]


def test_chunks_change_nothing_but_memory(problem, result):
    params, batches = problem
    update = hessdiag.OptaxUpdate(loss, optax.sgd(ALPHA), learning_rate=ALPHA)
    wanted = {"operators": ("update",), "products": False, "tolerance": 1e-5}
    start = update.init(params)
    chunked = hessdiag.inner_loop_spectra(update, start, batches, chunk_size=3, **wanted).dataset
    for name in ("hessian_max", "operator_radius_minus_one"):
        np.testing.assert_allclose(chunked[name], result.dataset[name], rtol=1e-3, atol=1e-7)


def test_a_sum_in_chunks_is_refused_with_the_ratio(problem):
    params, batches = problem
    examples = len(jax.tree.leaves(batches)[0][0])
    update = hessdiag.OptaxUpdate(lambda p, b: examples * loss(p, b), optax.sgd(ALPHA))
    summed = hessdiag.OptaxUpdate(
        lambda p, b: len(jax.tree.leaves(b)[0]) * loss(p, b), optax.sgd(ALPHA)
    )
    wanted = {"operators": (), "products": False, "chunk_size": examples // 3}
    with pytest.raises(ValueError, match=r"chunk_size: .* no mean over examples.* times"):
        hessdiag.inner_loop_spectra(summed, summed.init(params), batches, **wanted)
    mean = hessdiag.inner_loop_spectra(update, update.init(params), batches, **wanted)
    assert np.isfinite(mean.dataset["hessian_max"]).all()


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
    after = update(update.init(params), batch).params
    gradient = jax.grad(loss)(params, batch)
    expected = jax.tree.map(lambda p, g: p - 0.5 * ALPHA * g, params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), after, expected)
    assert jnp.isfinite(after[0]["weight"]).all()
