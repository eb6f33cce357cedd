import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import NotTransposableError, Operator, diagonal, identity_plus, linear
from hessdiag.spectra.balancing import balanced, balancing_scale
from hessdiag.spectra.complex_ritz import complex_ritz_values
from hessdiag.spectra.dense import dense_matrix
from tests.oracles.nonnormal import (
    arnoldi_runs,
    asymmetric,
    badly_scaled,
    departure_bound,
    distances,
    grcar,
    rotations,
    square_operator,
)
from tests.oracles.spectra import prescribed_matrix, random_starts, tolerance

SIZE = 30
KINDS = {
    "asymmetric": (asymmetric(SIZE), 2.5),
    "rotations": (rotations(SIZE), 2.5),
    "symmetric": (prescribed_matrix(np.linspace(-1, 3, SIZE)), 2.5),
    "Grcar": (grcar(SIZE), 4.0),  # a band passes scales on from neighbour to neighbour
}


@functools.partial(jax.jit, static_argnames="plus_identity")
def balance(matrix, key, *, plus_identity=False):
    """The scale, and the balanced operator (or its N) as a matrix."""
    operator = square_operator(matrix)
    if plus_identity:
        operator = identity_plus(operator)
    scale = balancing_scale(operator, key)
    result = balanced(operator, scale)
    return scale, dense_matrix(result.minus_identity or result)


@pytest.mark.parametrize("decades", [0.0, 3.0, 6.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_badly_scaled_matrix_gets_its_norm_back(dtype, kind, decades):
    """And one that was well scaled keeps it: at worst it is what a random D could not improve."""
    matrix, factor = KINDS[kind]
    spoilt = jnp.asarray(badly_scaled(matrix, decades), dtype)
    for seed in range(5):
        _, result = balance(spoilt, jax.random.key(seed))
        growth = np.linalg.norm(result) / np.linalg.norm(matrix)
        assert growth < (factor if decades else 1.5)


def test_the_scale_is_of_powers_of_two_and_the_similarity_exact(dtype):
    matrix = badly_scaled(asymmetric(SIZE), 3.0)
    scale, result = jax.device_get(balance(jnp.asarray(matrix, dtype), jax.random.key(0)))
    mantissas, _ = np.frexp(scale)
    np.testing.assert_array_equal(mantissas, 0.5)
    assert np.max(scale) / np.min(scale) > 1e4
    expected = np.asarray(matrix, dtype) * scale / scale[:, None]
    np.testing.assert_array_equal(result, expected)


def test_arnoldi_in_float32_needs_it():
    """The products' rounding is relative to |A|, 1e9 times the eigenvalues until A is balanced."""
    matrix = rotations(SIZE)
    spoilt = np.asarray(badly_scaled(matrix, 6.0), np.float32)
    truth = np.linalg.eigvals(matrix)
    _, result = balance(jnp.asarray(spoilt), jax.random.key(0))
    starts = random_starts(2, SIZE, np.float32)
    worst = {}
    for name, each in (("before", jnp.asarray(spoilt)), ("after", result)):
        run = arnoldi_runs(each, starts, max_matvecs=SIZE)[0]
        exact = np.asarray(each, np.float64)
        ritz = complex_ritz_values(run, departure=departure_bound(exact))
        found = distances(truth, ritz.values)
        assert (distances(ritz.values, truth) <= ritz.errors).all()
        worst[name] = np.max(found)
    assert worst["before"] > 1
    assert worst["after"] < 1e-5


def test_of_i_plus_n_it_is_n_that_is_balanced(dtype):
    """At 1e-9 beside the identity, N could not be seen in products of I + N."""
    matrix = 1e-9 * badly_scaled(asymmetric(SIZE), 1.0)
    alone, _ = balance(jnp.asarray(matrix, dtype), jax.random.key(0))
    scale, shift = jax.device_get(
        balance(jnp.asarray(matrix, dtype), jax.random.key(0), plus_identity=True)
    )
    np.testing.assert_array_equal(scale, alone)
    np.testing.assert_array_equal(shift, np.asarray(matrix, dtype) * scale / scale[:, None])


@jax.jit
def both_ways(matrix, scale):
    """The balanced operator and its transpose as matrices, and the operator's product of a tree."""
    like = {"a": scale[:2], "b": scale[2:]}
    unravel = ravel_pytree(like)[1]

    def matvec(tree):
        return unravel(jnp.matmul(matrix, ravel_pytree(tree)[0], precision="highest"))

    result = balanced(linear(matvec, like), scale)
    return dense_matrix(result), dense_matrix(result.T), result.matvec(like)


def test_the_balanced_operator_keeps_its_transpose_and_its_space(dtype):
    matrix = jnp.asarray(asymmetric(5), dtype)
    scale = np.asarray([1, 3, 0.1, 7, 1e3], dtype)
    forwards, backwards, tree = jax.device_get(both_ways(matrix, jnp.asarray(scale)))
    expected = np.asarray(matrix) * scale / scale[:, None]
    np.testing.assert_allclose(forwards, expected, rtol=tolerance(dtype, 1.0))
    np.testing.assert_allclose(backwards, expected.T, rtol=tolerance(dtype, 1.0))
    product = np.concatenate([tree["a"], tree["b"]])
    np.testing.assert_allclose(product, expected @ scale, rtol=tolerance(dtype, 100.0))


def test_the_balanced_operator_is_of_the_form_i_plus_n_but_not_symmetric():
    operator = diagonal(jnp.ones(3))
    scale = jnp.asarray([1.0, 2.0, 4.0])
    assert operator.is_symmetric
    assert not balanced(operator, scale).is_symmetric
    assert balanced(operator, scale).has_transpose
    assert balanced(identity_plus(operator), scale).T.minus_identity is not None


def test_zero_rows_and_nan_products_scale_nothing(dtype):
    matrix = np.zeros((SIZE, SIZE))
    matrix[:4, :4] = asymmetric(4)
    scale, _ = balance(jnp.asarray(matrix, dtype), jax.random.key(0))
    np.testing.assert_array_equal(scale[4:], 1)
    scale, _ = balance(jnp.full((SIZE, SIZE), jnp.nan, dtype), jax.random.key(0))
    np.testing.assert_array_equal(scale, 1)


def test_what_cannot_be_balanced_is_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="square"):
        balancing_scale(linear(lambda v: v[:3], jnp.zeros(5)), key)
    space = square_operator(jnp.eye(3)).domain
    with pytest.raises(NotTransposableError):
        balancing_scale(Operator(lambda v: v, None, space, space), key)
