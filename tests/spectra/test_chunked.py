import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    chunked,
    chunked_operator,
    dense_matrix,
    empirical_fisher,
    gauss_newton,
    gradient_jacobian,
    hessian,
)
from tests.oracles.spectra import mlp_loss, mlp_params, mlp_problem, tolerance


def batch_loss(params, batch):
    return mlp_loss(params, batch["inputs"], batch["labels"])


def problem(dtype, examples):
    params, inputs, labels = mlp_problem(dtype, sizes=(5, 4, 3), batch=examples)
    return params, {"inputs": inputs, "labels": labels}


def derivatives(loss, params, batch):
    """Value, gradient and Hessian at one batch, in float64."""

    def compute(params, batch):
        value, gradient = jax.value_and_grad(loss)(params, batch)
        matrix = dense_matrix(hessian(lambda p: loss(p, batch), params))
        return value, ravel_pytree(gradient)[0], matrix

    results = jax.jit(compute)(params, batch)
    assert results[0].dtype == results[2].dtype == ravel_pytree(params)[0].dtype
    return [np.asarray(result, np.float64) for result in results]


@pytest.mark.parametrize(
    ("dtype", "examples", "chunk_size"),
    [("float64", 10, 8), ("float64", 12, 4), ("float32", 5, 64)],
    indirect=["dtype"],
)
def test_value_gradient_and_hessian_are_those_of_the_whole_batch(dtype, examples, chunk_size):
    """G7: a last chunk that is not full counts by its examples."""
    params, batch = problem(dtype, examples)
    expected = derivatives(batch_loss, params, batch)
    actual = derivatives(chunked(batch_loss, chunk_size), params, batch)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, atol=tolerance(dtype, max(1.0, float(np.linalg.norm(e)))))


def test_the_mean_of_the_chunks_means_would_be_told_apart():
    """The ragged case is one in which equal weights are wrong by far more than rounding."""
    params, batch = problem(np.float32, 10)
    first = jax.tree.map(lambda leaf: leaf[:8], batch)
    last = jax.tree.map(lambda leaf: leaf[8:], batch)
    exact = derivatives(batch_loss, params, batch)[2]
    wrong = sum(derivatives(batch_loss, params, part)[2] for part in (first, last)) / 2
    assert np.linalg.norm(wrong - exact) > 0.05 * np.linalg.norm(exact)


def temporary_bytes(loss, params, batch):
    """Memory of a product beside arguments and results."""

    def product(params, batch, vector):
        return hessian(lambda p: loss(p, batch), params).matvec(vector)

    compiled = jax.jit(product).lower(params, batch, params).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


@pytest.mark.parametrize("rest", [0, 3])
def test_memory_of_a_product_does_not_grow_with_the_number_of_chunks(rest):
    """The slack is a number per chunk: without recomputation each would keep its activations."""
    params = mlp_params(jax.random.key(0), (20, 64, 64, 10), np.float32)

    def memory(loss, examples):
        batch = {"inputs": jnp.zeros((examples, 20)), "labels": jnp.zeros(examples, int)}
        return temporary_bytes(loss, params, batch)

    few, many = (memory(chunked(batch_loss, 64), 64 * n + rest) for n in (3, 96))
    assert many < few + 96 * 64
    assert memory(batch_loss, 64 * 96) > 20 * many


def test_batches_are_pytrees_and_may_hold_keys():
    """Integers, keys and nested leaves of any rank are cut along their first axis."""
    keys = jax.random.split(jax.random.key(0), 9)
    batch = {"key": keys, "data": (jnp.arange(9), jnp.ones((9, 2, 3)))}

    def loss(params, batch):
        noise = jax.vmap(lambda key: jax.random.normal(key, (2, 3)))(batch["key"])
        index, ones = batch["data"]
        terms = jnp.sum((ones + noise) * params, axis=(1, 2)) * index
        return jnp.mean(terms**2)

    params = jnp.full((1, 2, 3), 0.5)
    np.testing.assert_allclose(
        jax.jit(chunked(loss, 4))(params, batch), loss(params, batch), rtol=1e-5
    )


def test_the_loss_may_be_differentiated_with_respect_to_the_batch(dtype):
    params, batch = problem(dtype, 10)

    @jax.jit
    def gradients(inputs):
        losses = chunked(batch_loss, 4), batch_loss
        return [jax.grad(lambda x, f=f: f(params, batch | {"inputs": x}))(inputs) for f in losses]

    actual, expected = gradients(batch["inputs"])
    np.testing.assert_allclose(actual, expected, atol=tolerance(dtype, 1.0))


@pytest.mark.parametrize(
    "batch",
    [
        {"x": jnp.ones((8, 2)), "y": jnp.ones(7)},
        {"x": jnp.ones((8, 2)), "y": jnp.ones(())},
        {"x": jnp.ones(()), "y": jnp.ones(3)},
        {},
    ],
)
def test_leaves_without_a_common_leading_axis_are_refused(batch):
    with pytest.raises(ValueError, match=r"leaves of a batch need one leading axis, got shapes"):
        chunked(batch_loss, 4)(jnp.ones(2), batch)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match=r"the mean over an empty batch is not defined"):
        chunked(batch_loss, 4)(jnp.ones(2), {"x": jnp.ones((0, 2))})


@pytest.mark.parametrize("chunk", [chunked, chunked_operator])
@pytest.mark.parametrize("chunk_size", [0, -3])
def test_a_chunk_without_examples_is_refused(chunk, chunk_size):
    with pytest.raises(ValueError, match=rf"at least one example, got chunk_size={chunk_size}"):
        chunk(batch_loss, chunk_size)


def hessian_of(params, batch):
    return hessian(lambda p: batch_loss(p, batch), params)


def fisher_of(params, batch):
    def losses(p):
        one = jax.vmap(lambda x, y: mlp_loss(p, x[None], y[None]))
        return one(batch["inputs"], batch["labels"])

    return empirical_fisher(losses, params)


def gauss_newton_of(params, batch):
    def model(p):
        hidden = jnp.tanh(batch["inputs"] @ p[0]["weight"] + p[0]["bias"][None])
        return hidden @ p[1]["weight"]

    return gauss_newton(model, lambda z: jnp.mean(jnp.sum(jnp.cosh(z), axis=1)), params)


@pytest.mark.parametrize("build", [hessian_of, fisher_of, gauss_newton_of])
def test_a_chunked_operator_is_that_of_the_whole_batch(build, dtype):
    """With a last chunk that is not full; the other numbers of chunks are as for a loss."""
    params, batch = problem(dtype, 10)

    @jax.jit
    def both(params, batch):
        whole, parts = build(params, batch), chunked_operator(build, 8)(params, batch)
        return dense_matrix(whole), dense_matrix(parts)

    expected, actual = (np.asarray(each, np.float64) for each in both(params, batch))
    scale = float(np.linalg.norm(expected))
    assert scale > 0.01
    np.testing.assert_allclose(actual, expected, atol=tolerance(dtype, max(1.0, scale)))


def test_an_operator_that_is_not_symmetric_cannot_be_chunked():
    def jacobian(params, batch):
        return gradient_jacobian(lambda p: jnp.roll(p, 1) * jnp.mean(batch), params)

    with pytest.raises(NonSymmetricOperatorError, match="its symmetry defect is "):
        chunked_operator(jacobian, 2)(jnp.ones(3), jnp.ones(4))


def test_an_operator_on_another_space_cannot_be_chunked():
    def one(params, batch):
        return hessian(lambda q: jnp.mean(batch) * jnp.sum(q**2), params[:1])

    with pytest.raises(ValueError, match=r"an operator on 1 numbers, where theta has 3"):
        chunked_operator(one, 2)(jnp.ones(3), jnp.ones(4))
