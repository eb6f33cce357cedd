import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import eigsh

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    dense_matrix,
    extremes,
    gradient_jacobian,
    hessian,
    lanczos,
    matrix_spectrum,
    ritz_values,
    symmetric,
    symmetry_defect,
    transpose_defect,
)
from hessdiag.spectra.checks import require_symmetric
from tests.oracles.spectra import (
    dense_hessian,
    mlp_loss,
    mlp_params,
    mlp_problem,
    random_starts,
    tolerance,
)


@pytest.fixture(autouse=True)
def keys_are_used_once():
    with jax.debug_key_reuse(True):
        yield


@functools.cache
def network(dtype):
    """All that is asked of the Hessian of one network, by one program, and by `jax.hessian`."""
    params, inputs, labels = mlp_problem(dtype)

    def loss(p):
        return mlp_loss(p, inputs, labels)

    @jax.jit
    def measure(params, vector):
        operator = hessian(loss, params)
        assert operator.size == ravel_pytree(params)[0].size == 111
        assert operator.dtype == dtype
        return {
            "product": operator.matvec(vector),
            "matrix": dense_matrix(operator),
            "jacobian": dense_matrix(gradient_jacobian(jax.grad(loss), params)),
            "defect": symmetry_defect(operator, jax.random.key(1)),
            "run": lanczos(operator, vector, max_matvecs=80, tolerance=1e-6),
        }

    vector = random_starts(1, 111, dtype)[0]
    measured = jax.device_get(measure(params, vector))
    return measured | {"vector": np.asarray(vector), "truth": dense_hessian(loss, params)}


def test_hessian_products_equal_the_dense_hessian(dtype):
    """Those of the Jacobian of the gradient, too."""
    of = network(dtype)
    norm = float(np.linalg.norm(of["truth"], 2))
    expected = of["truth"] @ of["vector"].astype(np.float64)
    allowed = tolerance(dtype, norm * float(np.linalg.norm(of["vector"])))
    np.testing.assert_allclose(of["product"], expected, rtol=0, atol=allowed)
    for matrix in (of["matrix"], of["jacobian"]):
        np.testing.assert_allclose(matrix, of["truth"], rtol=0, atol=tolerance(dtype, norm))


def test_the_symmetry_defect_of_a_real_hessian_is_rounding(dtype):
    defect = network(dtype)["defect"]
    assert float(defect) < 2 * float(np.finfo(dtype).eps)
    require_symmetric(defect, dtype)


def test_a_real_hessian_dense_by_lanczos_by_arpack_and_by_autodiff(dtype):
    """Four ways agree within the errors they state; the softmax gauge gives exact zeros."""
    of = network(dtype)
    truth = np.linalg.eigvalsh(of["truth"])
    spectrum, run = matrix_spectrum(of["matrix"]), ritz_values(of["run"])
    assert (np.abs(spectrum.values - truth) <= spectrum.errors).all()
    assert np.sum(np.abs(spectrum.values) <= spectrum.errors) >= 7  # hidden units + 1
    assert extremes([spectrum, run]).disagreement <= 1
    assert run.converged
    assert run.matvecs < 80
    assert (np.abs(run.values[[0, -1]] - truth[[0, -1]]) <= run.errors[[0, -1]]).all()
    arpack = eigsh(of["matrix"], k=2, which="BE", v0=of["vector"], return_eigenvectors=False)
    allowed = tolerance(dtype, np.max(np.abs(truth)))
    np.testing.assert_allclose(run.values[[0, -1]], np.sort(arpack), atol=allowed)


def test_hessian_linearises_once_at_the_highest_precision():
    """The loss is traced once for any number of products, and each product is full float32."""
    traced = []
    params, inputs, labels = mlp_problem(np.float32)

    def loss(p):
        traced.append(None)
        return mlp_loss(p, inputs, labels)

    operator = hessian(loss, params)
    after_construction = len(traced)
    vector = jnp.ones(operator.size)
    first = operator.matvec(vector)
    np.testing.assert_array_equal(first, operator.matvec(vector))
    assert len(traced) == after_construction
    program = str(jax.make_jaxpr(operator.matvec)(vector))
    assert program.count("dot_general") >= 8
    assert program.count("precision=(Precision.HIGHEST") == program.count("dot_general")


def test_hessian_of_a_scalar_parameter(dtype):
    operator = hessian(lambda x: 3 * x**2, jnp.asarray(0.5, dtype))
    assert operator.size == 1
    np.testing.assert_allclose(operator.matvec(jnp.ones(1, dtype)), [6.0])


def value(params, states):
    """State values of a tanh network with one output."""
    hidden = jnp.tanh(states @ params[0]["weight"] + params[0]["bias"][None])
    return (hidden @ params[1]["weight"])[:, 0] + params[1]["bias"]


def semi_gradient_problem(dtype):
    """Parameters, and their TD(0) semi-gradient as a map: the targets move, unseen by the loss."""
    key_params, key_now, key_next = jax.random.split(jax.random.key(2), 3)
    params = mlp_params(key_params, (4, 5, 1), dtype)
    now = jax.random.normal(key_now, (15, 4), dtype)
    later = jax.random.normal(key_next, (15, 4), dtype)

    def loss(params, targets_from):
        targets = jnp.sin(now[:, 0]) + 0.9 * value(targets_from, later)
        return 0.5 * jnp.mean((targets - value(params, now)) ** 2)

    def semi_gradient(params):
        return jax.grad(loss)(params, params)

    return params, semi_gradient, loss


def dense(operator):
    return np.asarray(jax.jit(lambda: dense_matrix(operator))(), np.float64)


def test_semi_gradient_jacobian_equals_the_dense_one_and_its_transpose(dtype):
    params, semi_gradient, _ = semi_gradient_problem(dtype)
    flat, unravel = ravel_pytree(params)
    expected = jax.jit(jax.jacfwd(lambda x: ravel_pytree(semi_gradient(unravel(x)))[0]))(flat)
    expected = np.asarray(expected, np.float64)
    operator = gradient_jacobian(semi_gradient, params)
    assert not operator.is_symmetric
    assert operator.size == 31
    assert operator.dtype == dtype
    allowed = tolerance(dtype, float(np.linalg.norm(expected, 2)))
    np.testing.assert_allclose(dense(operator), expected, atol=allowed)
    np.testing.assert_allclose(dense(operator.T), expected.T, atol=allowed)
    assert transpose_defect(operator, jax.random.key(0)) < tolerance(dtype, 1.0)
    assert np.linalg.norm(expected - expected.T) > 0.1 * np.linalg.norm(expected)
    assert symmetry_defect(operator, jax.random.key(1)) > 1e-3


def test_what_stop_gradient_freezes_makes_the_difference(dtype):
    """The Hessian with frozen targets is symmetric; what the moving targets add is not."""
    params, semi_gradient, loss = semi_gradient_problem(dtype)
    frozen = hessian(lambda p: loss(p, jax.lax.stop_gradient(params)), params)
    moving = gradient_jacobian(semi_gradient, params)
    assert symmetry_defect(frozen, jax.random.key(0)) < tolerance(dtype, 1.0)

    def cross(x):  # the derivative of the semi-gradient along the targets alone
        return ravel_pytree(jax.grad(loss)(params, unravel(x)))[0]

    flat, unravel = ravel_pytree(params)
    expected = dense(frozen) + np.asarray(jax.jit(jax.jacfwd(cross))(flat), np.float64)
    allowed = tolerance(dtype, float(np.linalg.norm(expected, 2)))
    np.testing.assert_allclose(dense(moving), expected, atol=allowed)


def test_symmetric_lanczos_refuses_a_semi_gradient(dtype):
    """G8: undeclared at once; declared symmetric, by the asymmetry that the run measures."""
    params, semi_gradient, _ = semi_gradient_problem(dtype)
    operator = gradient_jacobian(semi_gradient, params)
    start = random_starts(1, operator.size, dtype)[0]
    with pytest.raises(NonSymmetricOperatorError, match=r"declared symmetric .its symm"):
        lanczos(operator, start, max_matvecs=10, tolerance=0.0)

    declared = symmetric(operator.matvec, params)
    run = jax.jit(lambda v: lanczos(declared, v, max_matvecs=10, tolerance=0.0))(start)
    assert float(run.asymmetry) > 1e-2
    message = rf"symmetry defect {float(run.asymmetry):.1e} exceeds"
    with pytest.raises(NonSymmetricOperatorError, match=message):
        ritz_values(run)


def test_gradient_jacobian_runs_at_the_highest_precision_both_ways():
    params, semi_gradient, _ = semi_gradient_problem(np.float32)
    operator = gradient_jacobian(semi_gradient, params)
    vector = jnp.ones(operator.size)
    for product in (operator.matvec, operator.rmatvec):
        program = str(jax.make_jaxpr(product)(vector))
        assert program.count("dot_general") >= 4
        assert program.count("precision=(Precision.HIGHEST") == program.count("dot_general")
