"""Spectra of some leaves, tables by leaf and eigenvectors, against dense float64 Hessians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import hessdiag
from hessdiag import spectra
from tests.api.compiling import compiling


def loss(params, batch):
    hidden = jnp.tanh(batch @ params["layer1"]["w"] + params["layer1"]["b"][None])
    outer = jnp.tanh(hidden @ params["layer10"]["w"]) @ params["out"]
    return jnp.mean((outer - batch.sum(-1)) ** 2)


def problem(width: int):
    keys = jax.random.split(jax.random.key(5), 5)
    params = {
        "layer1": {
            "w": 0.4 * jax.random.normal(keys[0], (6, width)),
            "b": 0.1 * jax.random.normal(keys[1], (width,)),
        },
        "layer10": {"w": 0.4 * jax.random.normal(keys[2], (width, 9))},
        "out": 0.4 * jax.random.normal(keys[3], (9,)),
    }
    return params, jax.random.normal(keys[4], (40, 6))


NAMES = ["layer1.b", "layer1.w", "layer10.w", "out"]


@pytest.fixture(scope="module", params=[5, 40], ids=["dense", "lanczos"])
def case(request):
    """Parameters, batch, the dense Hessian, and of each leaf the range of its entries."""
    params, batch = problem(request.param)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        flat, unravel = ravel_pytree(wide)
        data = np.asarray(batch, np.float64)
        dense = np.asarray(jax.jit(jax.hessian(lambda x: loss(unravel(x), data)))(flat))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    ends = np.cumsum([0, *sizes])
    ranges = {name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(NAMES)}
    return params, batch, dense, ranges


CHOICES = {
    "layer1": ["layer1.b", "layer1.w"],
    "layer1.w": ["layer1.w"],
    "w": ["layer1.w", "layer10.w"],
    ("out", "b"): ["layer1.b", "out"],
    (lambda path: path.endswith("w")): ["layer1.w", "layer10.w"],
}


@pytest.mark.parametrize("where", CHOICES, ids=range(len(CHOICES)))
def test_chosen_leaves_have_the_spectrum_of_their_block(case, where):
    params, batch, dense, ranges = case
    chosen = np.concatenate([ranges[name] for name in CHOICES[where]])
    truth = np.linalg.eigvalsh(dense[np.ix_(chosen, chosen)])
    result = hessdiag.spectrum(loss, params, batch, where=where, top=1)
    data = result.dataset
    assert abs(data.lowest - truth[0]) <= data.lowest_error
    assert abs(data.highest - truth[-1]) <= data.highest_error
    assert abs(data.trace - truth.sum()) <= 2 * data.trace_error
    assert data.converged
    assert not data.attrs["held"]
    vector = ravel_pytree(result.eigenvectors()[0])[0]  # the leaves held are None
    assert vector.size == chosen.size


def test_what_is_held_may_change_and_nothing_compiles(case):
    params, batch, _, ranges = case
    hessdiag.spectrum(loss, params, batch, where="out")
    moved = params | {"layer1": jax.tree.map(lambda leaf: 1.5 * leaf, params["layer1"])}
    with compiling() as count:
        data = hessdiag.spectrum(loss, moved, batch, where="out").dataset
    assert count.programs == 0
    block = jax.jit(jax.hessian(lambda out: loss(moved | {"out": out}, batch)))(moved["out"])
    np.testing.assert_allclose(data.highest, np.linalg.eigvalsh(block)[-1], rtol=1e-5)
    assert data.spent.sel(part="matrix") == len(ranges["out"])


def test_an_operator_of_chosen_leaves(case):
    """The block of the Gauss-Newton matrix, which is that of the chosen leaves alone."""
    params, batch, _, _ = case

    def newton(p, data):
        def outputs(at):
            hidden = jnp.tanh(data @ at["layer1"]["w"] + at["layer1"]["b"][None])
            return jnp.tanh(hidden @ at["layer10"]["w"]) @ at["out"]

        return spectra.gauss_newton(outputs, lambda z: jnp.mean(z**2), p)

    hidden = jnp.tanh(batch @ params["layer1"]["w"] + params["layer1"]["b"][None])
    last = np.asarray(jnp.tanh(hidden @ params["layer10"]["w"]), np.float64)
    truth = np.linalg.eigvalsh(2 * last.T @ last / len(last))
    data = hessdiag.spectrum(loss, params, batch, operator=newton, where="out").dataset
    np.testing.assert_allclose(data.ritz_value.values[0], truth, atol=1e-5 * truth[-1])


def test_a_table_by_leaf(case):
    params, batch, dense, ranges = case
    data = hessdiag.spectrum(loss, params, batch, per_leaf=True).dataset
    assert list(data.leaf.values) == NAMES
    for name, own in ranges.items():
        block = dense[np.ix_(own, own)]
        truth = np.linalg.eigvalsh(block)
        row = data.sel(leaf=name)
        assert row.leaf_size == len(own)
        assert abs(row.leaf_lowest - truth[0]) <= row.leaf_lowest_error
        assert abs(row.leaf_highest - truth[-1]) <= row.leaf_highest_error
        assert abs(row.leaf_trace - np.trace(block)) <= 2 * row.leaf_trace_error  # 95 %
        share = np.trace(block) / np.trace(dense)
        assert abs(row.leaf_share - share) <= 2 * row.leaf_share_error + 1e-6
        assert row.leaf_converged
    assert data.leaf_trace.sum() == pytest.approx(float(data.trace), rel=1e-5)
    without = hessdiag.spectrum(loss, params, batch).dataset
    assert "leaf" not in without.dims
    assert without.highest == data.highest


def test_eigenvectors_are_pytrees_like_the_parameters(case):
    params, batch, dense, _ = case
    result = hessdiag.spectrum(loss, params, batch, top=3)
    values, vectors = np.linalg.eigh(dense)
    order = np.argsort(-np.abs(values))[:3]
    assert len(result.eigenvectors()) == 3
    for tree, k in zip(result.eigenvectors(), order, strict=True):
        assert jax.tree.structure(tree) == jax.tree.structure(params)
        assert jax.tree.map(np.shape, tree) == jax.tree.map(jnp.shape, params)
        flat = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
        assert np.linalg.norm(flat) == pytest.approx(1, abs=1e-5)
        assert abs(flat @ vectors[:, k]) == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="top=0: no eigenvectors"):
        hessdiag.spectrum(loss, params, batch).eigenvectors()


def test_leaves_without_entries_are_no_rows():
    params = {"a": jnp.ones((0, 3)), "b": jnp.arange(1.0, 4), "c": jnp.ones(0)}
    quartic = lambda p, _: jnp.sum(p["b"] ** 4)  # noqa: E731
    result = hessdiag.spectrum(quartic, params, None, per_leaf=True, top=1)
    assert list(result.dataset.leaf.values) == ["b"]
    np.testing.assert_allclose(result.dataset.leaf_highest, [108], rtol=1e-5)
    assert result.eigenvectors()[0]["a"].shape == (0, 3)
