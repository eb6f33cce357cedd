"""Products come back in the form that their vectors have."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import LinearOperator, svds

from hessdiag.spectra import Operator, linear
from tests.oracles.spectra import tolerance

ROWS, SIZE = 17, 11


def matrix(dtype):
    return np.random.default_rng(0).standard_normal((ROWS, SIZE)).astype(dtype)


def rectangular(dtype) -> Operator:
    """From pytrees to pytrees."""
    entries = jnp.asarray(matrix(dtype))

    def matvec(v):
        image = jnp.matmul(entries, ravel_pytree(v)[0], precision="highest")
        return {"first": image[:1], "rest": image[1:]}

    return linear(matvec, {"bias": jnp.zeros((), dtype), "weight": jnp.zeros((2, 5), dtype)})


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_a_flat_vector_of_numpy_gives_a_flat_vector(dtype, kind):
    operator = rectangular(dtype)
    for product, size in ((operator.matvec, SIZE), (operator.rmatvec, ROWS)):
        vector = np.arange(size)
        image = product(vector.astype(kind))
        assert image.dtype == dtype
        np.testing.assert_array_equal(image, product(jnp.asarray(vector, dtype)))
        np.testing.assert_array_equal(product(vector[:, None].astype(kind)), image[:, None])


def test_a_column_is_a_pytree_where_the_domain_is_one_of_columns(dtype):
    operator = linear(lambda v: {"sum": jnp.sum(v)}, jnp.zeros((4, 1), dtype))
    assert operator.matvec(np.ones((4, 1)))["sum"] == 4
    np.testing.assert_array_equal(operator.matvec(np.ones(4)), [4])


def test_scipy_takes_the_products(dtype):
    """Its `LinearOperator` passes vectors and, for blocks, columns."""
    operator = rectangular(dtype)
    products = {"matvec": operator.matvec, "rmatvec": operator.rmatvec}
    theirs = LinearOperator((ROWS, SIZE), dtype=dtype, **products)  # pyright: ignore[reportCallIssue]
    truth = matrix(dtype)
    np.testing.assert_allclose(theirs.matmat(np.eye(SIZE)), truth, atol=tolerance(dtype, 10.0))
    np.testing.assert_allclose(theirs.rmatmat(np.eye(ROWS)), truth.T, atol=tolerance(dtype, 10.0))
    _, values, _ = svds(theirs, k=3, rng=np.random.default_rng(0))
    largest = np.linalg.svd(truth, compute_uv=False)[:3]
    np.testing.assert_allclose(np.sort(values)[::-1], largest, atol=tolerance(dtype, 50.0))
