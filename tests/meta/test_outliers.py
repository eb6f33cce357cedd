"""Deflation at the depth that runs use, against eigenvectors in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.meta import FULL, STABLE
from hessdiag.meta.outliers import outliers, without

ALPHA = 0.5  # eigenvalues of ∇²L in [0, 4] are those of H in [−2, 0]
BULK = np.linspace(0.5, 1.5, 96)
OUTSIDE = np.array([-3.0, -1.0, 6.0, 9.0])


@pytest.fixture(scope="module")
def hessian():
    """A matrix with two eigenvalues outside the interval at either end, and its deflated twin."""
    rng = np.random.default_rng(0)
    size = len(BULK) + len(OUTSIDE)
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]

    def with_values(outside):
        return (vectors * np.concatenate([BULK, outside])) @ vectors.T

    return with_values(OUTSIDE), with_values(np.zeros(4))


def found(matrix, *, inside, matvecs):
    return outliers(
        lambda v: matrix @ v,
        jnp.zeros(len(matrix)),
        jax.random.key(0),
        alpha=ALPHA,
        inside=inside,
        matvecs=matvecs,
    )


def test_the_products_of_a_default_run_resolve_separated_outliers(hessian):
    matrix, deflated = (jnp.asarray(part, jnp.float32) for part in hessian)
    pairs = jax.jit(lambda: found(matrix, inside=STABLE, matvecs=FULL.matvecs))()
    assert pairs.number == len(OUTSIDE)
    for key in jax.random.split(jax.random.key(1), 3):
        v = jax.random.normal(key, (len(matrix),))
        made, expected = without(pairs, v, matrix @ v), deflated @ v
        assert jnp.linalg.norm(made - expected) < 1e-4 * jnp.linalg.norm(expected)
        assert jnp.linalg.norm(matrix @ v - expected) > jnp.linalg.norm(expected)


def test_what_too_few_products_leave_unresolved_is_kept(hessian):
    matrix = jnp.asarray(hessian[0], jnp.float32)
    assert found(matrix, inside=STABLE, matvecs=3).number < len(OUTSIDE)


def test_another_interval_leaves_out_other_pairs(hessian):
    matrix = jnp.asarray(hessian[0], jnp.float32)
    pairs = found(matrix, inside=(-4.0, 1.0), matvecs=FULL.matvecs)  # ∇²L in [−2, 8]
    values = np.asarray(pairs.values)
    np.testing.assert_allclose(np.sort(values[values != 0]), [-3.0, 9.0], rtol=1e-5)
