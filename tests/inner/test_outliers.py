"""Deflation at the depth that runs use, against eigenvectors in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.inner import FULL, STABLE
from hessdiag.inner.pullback import outliers, without
from tests.oracles.steps import inner_step

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
    descent = optax.sgd(ALPHA)
    params = jnp.zeros(len(matrix), matrix.dtype)
    step = inner_step(
        lambda p: 0.5 * p @ matrix @ p, descent, params, descent.init(params), learning_rate=ALPHA
    )
    return outliers(step, jax.random.key(0), inside=inside, matvecs=matvecs)


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


CROWDED = (-8.0, -3.0, -1.0, 15.0, 25.0)  # outside, with a bulk that fills the interval


@pytest.fixture(scope="module")
def crowded():
    """A matrix with few separated eigenvalues: those near the interval take long to resolve."""
    values = np.concatenate([CROWDED, np.linspace(0.05, 3.9, 55)])
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(len(values), len(values))))[0]
    return jnp.asarray((vectors * values) @ vectors.T, jnp.float32)


def outside_left(matrix, pairs):
    """Eigenvalues outside the interval after the deflation, beyond what pairs resolve."""
    left = jax.vmap(lambda v: without(pairs, v, matrix @ v))(jnp.eye(len(matrix)))
    values, slack = np.linalg.eigvalsh(np.asarray(left, np.float64)), 0.01 * max(CROWDED)
    return values[(values < -slack) | (values > 4.0 + slack)]


def test_what_is_left_is_what_was_not_found(crowded):
    pairs = found(crowded, inside=STABLE, matvecs=FULL.matvecs)
    values = np.asarray(pairs.values)
    nearest = {min(CROWDED, key=lambda one, v=value: abs(one - v)) for value in values[values != 0]}
    assert len(nearest) == pairs.number
    assert {min(CROWDED), max(CROWDED)} <= nearest
    left = outside_left(crowded, pairs)
    np.testing.assert_allclose(left, sorted(set(CROWDED) - nearest), atol=0.1)


def test_a_run_as_long_as_the_space_leaves_nothing_outside(crowded):
    pairs = found(crowded, inside=STABLE, matvecs=len(crowded))
    assert pairs.number == len(CROWDED)
    assert outside_left(crowded, pairs).size == 0


def test_a_stable_hessian_is_left_as_it_is():
    matrix = jnp.diag(jnp.linspace(0.5, 3.5, 60))
    pairs = found(matrix, inside=STABLE, matvecs=FULL.matvecs)
    assert pairs.number == 0
    np.testing.assert_array_equal(
        without(pairs, jnp.ones(60), matrix @ jnp.ones(60)), matrix.sum(1)
    )
