import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import dense_matrix, empirical_fisher, gauss_newton, hessian, symmetry_defect
from tests.oracles.spectra import mlp_loss, mlp_problem, tolerance


def dense(operator):
    return np.asarray(jax.jit(lambda: dense_matrix(operator))(), np.float64)


def network_losses(dtype):
    """Parameters of the network and its losses, example by example."""
    params, inputs, labels = mlp_problem(dtype)

    def losses(p):
        return jax.vmap(lambda x, y: mlp_loss(p, x[None], y[None]))(inputs, labels)

    return losses, params


def test_products_equal_the_sum_over_single_examples(dtype):
    losses, params = network_losses(dtype)
    _, unravel = ravel_pytree(params)

    @jax.jit
    def matrices(flat):
        operator = empirical_fisher(losses, unravel(flat))
        assert operator.is_symmetric
        assert operator.dtype == dtype
        defect = symmetry_defect(operator, jax.random.key(0))
        gradients = jax.jacrev(lambda x: losses(unravel(x)))(flat)
        return dense_matrix(operator), defect, gradients

    actual, defect, gradients = jax.device_get(matrices(ravel_pytree(params)[0]))
    expected = gradients.T.astype(np.float64) @ gradients / 20
    norm = float(np.linalg.norm(expected, 2))
    np.testing.assert_allclose(actual, expected, atol=tolerance(dtype, norm))
    rank = np.sum(np.linalg.eigvalsh(actual) > tolerance(dtype, norm))
    assert rank <= 20
    assert defect < tolerance(dtype, 1.0)


def test_at_labels_of_the_model_it_is_the_gauss_newton_matrix(dtype):
    """Every label appears as often as the model predicts it: probabilities (1/4, 3/4), 4 labels."""
    probabilities = jnp.asarray([0.25, 0.75], dtype)
    labels = jnp.asarray([0, 1, 1, 1])
    params = {"logits": jnp.log(probabilities), "gauge": jnp.zeros((), dtype)}

    def logits(p):
        return p["logits"] + p["gauge"]

    def losses(p):
        return -jax.nn.log_softmax(logits(p))[labels]

    fisher = dense(empirical_fisher(losses, params))
    # Cross-entropy of the mean label: the Hessian, too, as the model is linear in its parameters.
    curvature = dense(gauss_newton(logits, lambda z: -jax.nn.log_softmax(z)[labels].mean(), params))
    full = dense(hessian(lambda p: jnp.mean(losses(p)), params))
    np.testing.assert_allclose(fisher, curvature, atol=tolerance(dtype, 1.0))
    np.testing.assert_allclose(fisher, full, atol=tolerance(dtype, 1.0))
    assert np.max(fisher) > 0.1


def test_at_other_labels_it_is_another_matrix(dtype):
    """Kunstner et al. 2019: squared errors weigh the gradients by the residuals."""
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((30, 3)), dtype)
    residuals = jnp.asarray(np.random.default_rng(1).standard_normal(30), dtype)
    params = jnp.zeros(3, dtype)

    def losses(p):
        return 0.5 * (inputs @ p - residuals) ** 2

    x, r = np.asarray(inputs, np.float64), np.asarray(residuals, np.float64)
    fisher = dense(empirical_fisher(losses, params))
    curvature = dense(hessian(lambda p: jnp.mean(losses(p)), params))
    np.testing.assert_allclose(fisher, (x.T * r**2) @ x / 30, atol=tolerance(dtype, 2.0))
    np.testing.assert_allclose(curvature, x.T @ x / 30, atol=tolerance(dtype, 2.0))


def test_no_gradient_of_a_single_example_is_stored():
    """Doubling the parameters of a linear model far from doubles N d numbers: there are none."""
    inputs = jnp.ones((500, 2000))

    @jax.jit
    def product(params, inputs):
        return empirical_fisher(lambda p: jnp.square(inputs @ p), params).matvec(params)

    memory = product.lower(jnp.ones(2000), inputs).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < inputs.nbytes / 10


def test_losses_are_traced_once_and_products_run_at_the_highest_precision():
    traced = []
    losses, params = network_losses(np.float32)

    def counted(p):
        traced.append(None)
        return losses(p)

    operator = empirical_fisher(counted, params)
    after_construction = len(traced)
    vector = jnp.ones(operator.size)
    np.testing.assert_array_equal(operator.matvec(vector), operator.matvec(vector))
    assert len(traced) == after_construction
    program = str(jax.make_jaxpr(operator.matvec)(vector))
    assert program.count("dot_general") >= 4
    assert program.count("precision=(Precision.HIGHEST") == program.count("dot_general")


@pytest.mark.parametrize("shape", [(), (3, 1), (0,)])
def test_losses_that_are_no_vector_are_refused(shape):
    with pytest.raises(ValueError, match=r"one loss per example is needed, a vector \(N,\)"):
        empirical_fisher(lambda p: jnp.zeros(shape) + jnp.sum(p), jnp.ones(4))
