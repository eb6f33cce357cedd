import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import dense_matrix, gauss_newton, hessian
from tests.oracles.spectra import mlp_problem, tolerance


def mlp_outputs(params, inputs):
    """Logits of the tanh network, in a pytree of two unequal leaves."""
    hidden = inputs
    for layer in params[:-1]:
        hidden = jnp.tanh(hidden @ layer["weight"] + layer["bias"][None])
    logits = hidden @ params[-1]["weight"] + params[-1]["bias"][None]
    return {"first": logits[:, 0], "others": logits[:, 1:]}


def cross_entropy(outputs, labels):
    logits = jnp.concatenate([outputs["first"][:, None], outputs["others"]], axis=1)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(chosen)


def dense(operator):
    return np.asarray(jax.jit(lambda: dense_matrix(operator))(), np.float64)


def linear_model(dtype):
    """Inputs of 12 examples and parameters of a model linear in them, with three outputs."""
    key_inputs, key_weight = jax.random.split(jax.random.key(0))
    inputs = jax.random.normal(key_inputs, (12, 4), dtype)
    params = {
        "weight": jax.random.normal(key_weight, (4, 3), dtype),
        "bias": jnp.arange(3, dtype=dtype),
    }
    return inputs, params


CONVEX = {
    "square": lambda z: 0.5 * jnp.mean(z**2),
    "cross-entropy": lambda z: jnp.mean(jax.nn.logsumexp(z, axis=1) - z[:, 0]),
    "logistic": lambda z: jnp.mean(jnp.logaddexp(0, z)),
    "exponential, not a mean": lambda z: jnp.sum(jnp.exp(z - 3)),
}


def test_products_equal_the_dense_formula(dtype):
    """J' (d² loss / d outputs²) J with a dense J, on pytrees of parameters and of outputs."""
    params, inputs, labels = mlp_problem(dtype)
    _, unravel = ravel_pytree(params)

    @jax.jit
    def matrices(flat):
        params = unravel(flat)
        outputs, unravel_outputs = ravel_pytree(mlp_outputs(params, inputs))
        jacobian = jax.jacfwd(lambda x: ravel_pytree(mlp_outputs(unravel(x), inputs))[0])(flat)
        curvature = jax.hessian(lambda z: cross_entropy(unravel_outputs(z), labels))(outputs)
        full = jax.hessian(lambda x: cross_entropy(mlp_outputs(unravel(x), inputs), labels))(flat)
        operator = gauss_newton(
            lambda p: mlp_outputs(p, inputs), lambda z: cross_entropy(z, labels), params
        )
        assert operator.is_symmetric
        assert operator.dtype == dtype
        return dense_matrix(operator), jacobian, curvature, full

    made = matrices(ravel_pytree(params)[0])
    actual, jacobian, curvature, full = (np.asarray(each, np.float64) for each in made)
    expected = jacobian.T @ curvature @ jacobian
    norm = float(np.linalg.norm(expected, 2))
    np.testing.assert_allclose(actual, expected, atol=tolerance(dtype, norm))
    assert np.linalg.norm(full - expected, 2) > 0.1 * norm  # the model's own curvature is left out
    assert np.min(np.linalg.eigvalsh(expected)) > -tolerance(np.float32, norm)


@pytest.mark.parametrize("name", CONVEX)
def test_it_is_the_hessian_where_the_model_is_linear(dtype, name):
    inputs, params = linear_model(dtype)

    def model(p):
        return inputs @ p["weight"] + p["bias"][None]

    loss = CONVEX[name]
    exact = dense(hessian(lambda p: loss(model(p)), params))
    actual = dense(gauss_newton(model, loss, params))
    # Two orders of the same sums over examples and outputs.
    allowed = tolerance(dtype, float(np.linalg.norm(exact, 2)))
    np.testing.assert_allclose(actual, exact, atol=allowed)


def test_it_is_the_fisher_information_of_a_softmax_model(dtype):
    """The mean over examples and over the model's own labels y of g g', g = d log p(y) / d theta.

    Martens 2020: the logits are natural parameters.
    """
    params, inputs, _ = mlp_problem(dtype)

    def logits(p):
        outputs = mlp_outputs(p, inputs)
        return jnp.concatenate([outputs["first"][:, None], outputs["others"]], axis=1)

    flat, unravel = ravel_pytree(params)
    scores = jax.jit(jax.jacrev(lambda x: jax.nn.log_softmax(logits(unravel(x)))))(flat)
    scores = np.asarray(scores, np.float64)
    probabilities = np.asarray(jax.nn.softmax(logits(params)), np.float64)
    fisher = np.einsum("ny,nyi,nyj->ij", probabilities, scores, scores) / len(inputs)
    # The labels do not enter the curvature of cross-entropy in the logits.
    labels = jnp.zeros(len(inputs), int)
    operator = gauss_newton(
        lambda p: mlp_outputs(p, inputs), lambda z: cross_entropy(z, labels), params
    )
    allowed = tolerance(dtype, float(np.linalg.norm(fisher, 2)))
    np.testing.assert_allclose(dense(operator), fisher, atol=allowed)


def test_the_model_is_linearised_once_at_the_highest_precision():
    traced = []
    inputs, params = linear_model(np.float32)

    def model(p):
        traced.append(None)
        return jnp.tanh(inputs @ p["weight"] + p["bias"][None])

    operator = gauss_newton(model, CONVEX["square"], params)
    after_construction = len(traced)
    vector = jnp.ones(operator.size)
    np.testing.assert_array_equal(operator.matvec(vector), operator.matvec(vector))
    assert len(traced) == after_construction
    program = str(jax.make_jaxpr(operator.matvec)(vector))
    assert program.count("dot_general") >= 2
    assert program.count("precision=(Precision.HIGHEST") == program.count("dot_general")


def test_a_product_has_the_form_of_its_vector(dtype):
    inputs, params = linear_model(dtype)
    operator = gauss_newton(lambda p: inputs @ p["weight"], CONVEX["square"], params)
    tree = operator.matvec(params)
    assert jax.tree.structure(tree) == jax.tree.structure(params)
    np.testing.assert_array_equal(tree["bias"], 0)
    np.testing.assert_array_equal(ravel_pytree(tree)[0], operator.matvec(ravel_pytree(params)[0]))
