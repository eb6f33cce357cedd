"""Parameters in low and mixed precision, and losses that compute so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import hessdiag

NARROW = ["bfloat16", "float16"]


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch[0] @ params["w"]) @ params["v"] - batch[1]) ** 2)


def convolved(params, batch):
    """A convolution wants operands of one dtype."""
    images, kernels = batch[0][:, None, None, :], params["w"].T[:, None, None, :3]
    hidden = jax.lax.conv(images, kernels, (1, 1), "VALID")
    return jnp.mean((jnp.tanh(hidden).sum((1, 2, 3)) * params["v"].sum() - batch[1]) ** 2)


def casting(params, batch):
    """Operands of one dtype, which is that of the parameters as they are."""
    images = batch[0].astype(jnp.bfloat16)[:, None, None, :]
    hidden = jax.lax.conv(images, params["w"].T[:, None, None, :3], (1, 1), "VALID")
    return jnp.mean((jnp.tanh(hidden).sum((1, 2, 3)) - batch[1]) ** 2)


def converted(tree, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(dtype), tree)


def problem(width):
    keys = jax.random.split(jax.random.key(0), 3)
    inputs = jax.random.normal(keys[0], (32, 6))
    weights = {
        "w": jax.random.normal(keys[1], (6, width)),
        "v": jax.random.normal(keys[2], (width,)),
    }
    return jax.tree.map(lambda leaf: 0.4 * leaf, weights), (inputs, jnp.sin(inputs).sum(-1))


def eigenvalues(function, params, batch):
    """By a dense Hessian in float64, at the numbers that the arrays hold."""
    with jax.enable_x64(True):
        wide, data = (
            jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float64), tree)
            for tree in (params, batch)
        )
        flat, unravel = ravel_pytree(wide)
        return np.linalg.eigvalsh(jax.jit(jax.hessian(lambda x: function(unravel(x), data)))(flat))


def assert_holds(data, truth):
    assert abs(data.lowest - truth[0]) <= data.lowest_error
    assert abs(data.highest - truth[-1]) <= data.highest_error


@pytest.mark.parametrize("width", [5, 90])
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("function", [loss, convolved])
def test_narrow_parameters_are_measured_in_a_wider_dtype(function, dtype, width):
    params, batch = (converted(tree, dtype) for tree in problem(width))
    result = hessdiag.spectrum(function, params, batch, starts=2)
    data = result.dataset
    assert_holds(data, eigenvalues(function, params, batch))
    assert data.highest_error <= 1e-4 * data.highest  # as of float32
    assert (data.attrs["dtype"], data.attrs["widened"]) == ("float32", dtype)
    assert result.alarms() == []
    assert len(result.notes()) == 1


@pytest.mark.parametrize("width", [5, 90])
@pytest.mark.parametrize("dtype", NARROW)
def test_a_loss_that_computes_narrowly_has_the_errors_of_that(dtype, width):
    params, batch = problem(width)

    def low(p, b):
        return loss(converted(p, dtype), (b[0].astype(dtype), b[1])).astype(jnp.float32)

    result = hessdiag.spectrum(low, params, batch, starts=2, top=1)
    data, truth = result.dataset, eigenvalues(loss, params, batch)
    assert_holds(data, truth)
    eps = float(jnp.finfo(dtype).eps)
    assert 0.1 * eps <= data.highest_error / data.highest <= 20 * eps
    assert abs(data.top_value[0] - truth[-1]) <= data.top_error[0]
    assert data.attrs["computes_in"] == dtype
    assert len(result.alarms()) == 1


def test_a_loss_that_wants_its_parameters_narrow_gets_them_so():
    params, batch = problem(5)
    narrow = converted(params, jnp.bfloat16)
    data = hessdiag.spectrum(casting, narrow, batch).dataset
    kernels = lambda p, b: casting(converted(p, jnp.bfloat16), b)  # noqa: E731
    same = hessdiag.spectrum(kernels, converted(narrow, jnp.float32), batch).dataset
    assert data.attrs["computes_in"] == "bfloat16"
    assert abs(data.highest - same.highest) <= data.highest_error + same.highest_error


@pytest.mark.parametrize("width", [5, 90])
def test_one_float64_leaf(x64, width):
    del x64
    params, batch = problem(width)
    mixed = converted(params, jnp.float32) | {"v": params["v"].astype(jnp.float64)}
    data = hessdiag.spectrum(loss, mixed, converted(batch, jnp.float32), starts=2).dataset
    assert_holds(data, eigenvalues(loss, mixed, converted(batch, jnp.float32)))
    assert data.highest_error <= 1e-9 * data.highest
    assert (data.attrs["dtype"], data.attrs["widened"]) == ("float64", "float32")


def test_a_float64_loss_that_computes_in_float32(x64):
    del x64
    params, batch = (converted(tree, jnp.float64) for tree in problem(5))
    low = lambda p, b: loss(converted(p, jnp.float32), b).astype(jnp.float64)  # noqa: E731
    data = hessdiag.spectrum(low, params, converted(batch, jnp.float32)).dataset
    assert_holds(data, eigenvalues(loss, params, batch))
    assert data.attrs["computes_in"] == "float32"
    assert data.highest_error >= 1e-8 * data.highest


def test_numbers_of_python_are_parameters():
    data = hessdiag.spectrum(lambda p, _: p[0] ** 2 + p[1] ** 4, [1.0, 2.0], None).dataset
    np.testing.assert_allclose([data.lowest, data.highest], [2, 48], rtol=1e-6)
