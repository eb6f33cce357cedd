import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra.gram_schmidt import norm, orthogonality, split
from tests.oracles.spectra import tolerance


@pytest.mark.parametrize("inside", [1.0, 1e4])
def test_a_vector_is_its_coefficients_and_an_orthogonal_rest(dtype, inside):
    """Also one that lies almost inside the basis, where one pass would not be enough."""
    rows = np.linalg.qr(np.random.default_rng(0).standard_normal((100, 33)))[0].T
    basis = jnp.zeros((32, 100), dtype).at[:20].set(jnp.asarray(rows[:20], dtype))
    vector = jnp.asarray(inside * np.sum(rows[:20], axis=0) + rows[32], dtype)
    blocks, active = (basis[:16], basis[16:]), jnp.asarray(20)
    rest, coefficients = jax.jit(split)(blocks, vector, active)
    allowed = tolerance(dtype, float(jnp.linalg.norm(vector)))
    np.testing.assert_allclose(rest + coefficients @ basis, vector, atol=allowed)
    np.testing.assert_allclose(coefficients[:20], inside, atol=allowed)
    np.testing.assert_array_equal(coefficients[20:], 0)
    np.testing.assert_allclose(basis @ (rest / norm(rest)), 0, atol=tolerance(dtype, 1.0))


def test_the_parts_add_up_whatever_the_rows(dtype):
    """Rows that overlap by 0.1 leave a good part of their coefficients to the second pass."""
    basis = jnp.eye(16, 40, dtype=dtype).at[1:, 0].set(0.1)
    vector = jnp.arange(40, 0, -1, dtype=dtype)
    rest, coefficients = jax.jit(split)((basis,), vector, jnp.asarray(16))
    allowed = tolerance(dtype, float(jnp.linalg.norm(vector)))
    np.testing.assert_allclose(rest + coefficients @ basis, vector, atol=allowed)


def test_orthogonality_is_the_largest_overlap_of_the_active_rows(dtype):
    basis = jnp.eye(5, 9, dtype=dtype).at[1, 0].set(0.25).at[3:].set(0)
    np.testing.assert_array_equal(orthogonality(basis, jnp.asarray(3)), 0.25)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_the_norm_of_tiny_and_huge_vectors(dtype, scale):
    vector = jnp.asarray([3.0, 4.0], dtype) * scale
    np.testing.assert_allclose(norm(vector), 5 * scale, rtol=tolerance(dtype, 1.0))
