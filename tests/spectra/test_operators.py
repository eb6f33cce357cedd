import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    hessian,
    require_symmetric,
    symmetric,
    symmetry_defect,
)
from tests.oracles.spectra import (
    dense_hessian,
    matrix_operator,
    mlp_loss,
    mlp_problem,
    prescribed_matrix,
    tolerance,
)


@pytest.fixture(autouse=True)
def keys_are_used_once():
    with jax.debug_key_reuse(True):
        yield


def test_hessian_products_equal_the_dense_hessian(dtype):
    params, inputs, labels = mlp_problem(dtype)

    def loss(p):
        return mlp_loss(p, inputs, labels)

    @jax.jit
    def product(params, vector):
        operator = hessian(loss, params)
        assert operator.size == ravel_pytree(params)[0].size == 111
        assert operator.dtype == dtype
        return operator.matvec(vector)

    dense = dense_hessian(loss, params)
    vector = jax.random.normal(jax.random.key(0), (111,), dtype)
    expected = dense @ np.asarray(vector, np.float64)
    allowed = tolerance(dtype, float(np.linalg.norm(dense, 2)) * float(jnp.linalg.norm(vector)))
    np.testing.assert_allclose(product(params, vector), expected, rtol=0, atol=allowed)


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


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e8])
def test_defect_of_a_symmetric_matrix_is_rounding(dtype, scale):
    matrix = jnp.asarray(scale * prescribed_matrix(np.linspace(-1, 3, 80)), dtype)
    for seed in range(5):
        defect = symmetry_defect(matrix_operator(matrix), jax.random.key(seed))
        assert float(defect) < 2 * float(np.finfo(dtype).eps)


def test_defect_of_a_real_hessian_is_rounding(dtype):
    params, inputs, labels = mlp_problem(dtype)
    operator = hessian(lambda p: mlp_loss(p, inputs, labels), params)
    defect = symmetry_defect(operator, jax.random.key(1))
    assert float(defect) < 2 * float(np.finfo(dtype).eps)
    require_symmetric(defect, operator.dtype)


def test_defect_is_free_of_scale_and_equals_its_definition(dtype):
    """A plain NumPy evaluation with the same two vectors gives the same number."""
    matrix = np.random.default_rng(0).standard_normal((40, 40))
    key_u, key_v = jax.random.split(jax.random.key(3))
    u, v = (
        np.asarray(jax.random.normal(k, (40,), dtype), np.float64)
        for k in (jax.random.clone(key_u), jax.random.clone(key_v))
    )
    norm = np.linalg.norm
    expected = abs(u @ matrix @ v - v @ matrix @ u)
    expected /= norm(matrix @ v) * norm(u) + norm(matrix @ u) * norm(v)
    for scale in (1e-30, 1.0, 1e8):
        operator = matrix_operator(jnp.asarray(scale * matrix, dtype))
        defect = symmetry_defect(operator, jax.random.key(3))
        # Two sums of 40 terms that nearly cancel, hence more than a few eps.
        np.testing.assert_allclose(defect, expected, atol=tolerance(dtype, 1.0))


def test_defect_of_the_zero_operator_is_zero(dtype):
    operator = symmetric(jnp.zeros_like, jnp.zeros(10, dtype))
    assert float(symmetry_defect(operator, jax.random.key(0))) == 0


@pytest.mark.parametrize("size", [20, 2000])
@pytest.mark.parametrize("asymmetry", [1.0, 3e-2])
def test_a_non_symmetric_operator_is_refused(dtype, size, asymmetry):
    """G8: also when only a small part of the operator is not symmetric, whatever the size."""
    rng = np.random.default_rng(0)
    skew = rng.standard_normal((size, 3)) @ rng.standard_normal((3, size))
    matrix = jnp.asarray(asymmetry * skew + np.diag(np.full(size, np.sqrt(size))), dtype)
    defect = symmetry_defect(matrix_operator(matrix), jax.random.key(0))
    with pytest.raises(NonSymmetricOperatorError, match=rf"{float(defect):.1e} exceeds"):
        require_symmetric(defect, dtype)


def test_a_defect_that_is_not_a_number_is_no_asymmetry():
    operator = symmetric(lambda v: v * jnp.nan, jnp.zeros(10))
    defect = symmetry_defect(operator, jax.random.key(0))
    assert np.isnan(defect)
    require_symmetric(defect, jnp.float32)
