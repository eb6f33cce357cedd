import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import diagonal, gradient_jacobian, linear
from hessdiag.spectra.trace import hutch_plus_plus, hutchinson, xtrace
from tests.oracles.spectra import prescribed_matrix, tolerance

SEEDS = 300
SIZE = 60

ESTIMATORS = [hutchinson, hutch_plus_plus, xtrace]
SKETCHES = [hutch_plus_plus, xtrace]

SPECTRA = {
    "flat": np.linspace(-1, 1.6, SIZE),
    "outliers": np.concatenate([[60.0, -20.0, 12.0, 5.0], np.linspace(0, 1, SIZE - 4)]),
    "power law": np.arange(1, SIZE + 1) ** -2.0,
}


def any_matrix(matrix):
    """A matrix as an operator that is not declared symmetric."""
    return linear(lambda v: jnp.matmul(matrix, v, precision="highest"), matrix[0])


@functools.partial(jax.jit, static_argnums=0, static_argnames="num_matvecs")
def estimates(estimator, matrix, *, num_matvecs=24):
    """One estimate per seed."""
    one = functools.partial(estimator, any_matrix(matrix), num_matvecs=num_matvecs)
    return jax.lax.map(one, jax.random.split(jax.random.key(0), SEEDS))


def errors_of(runs, matrix):
    return np.asarray(runs.estimate, np.float64) - np.trace(np.asarray(matrix, np.float64))


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_standard_errors_are_calibrated_at_any_scale(dtype, estimator, name):
    """Root mean square error over mean stated error; few estimates beyond 3 or 4 errors; no bias.

    The limits: the error of 8 to 24 probes is itself uncertain (Student's t with 7 degrees of
    freedom is beyond 3 in 2 % of cases, and more for skew terms), and the terms of XTrace depend on
    each other, so that it understates, here by up to a third.
    """
    matrix = prescribed_matrix(SPECTRA[name])
    for scale in (1e-8, 1.0, 1e8):
        scaled = jnp.asarray(scale * matrix, dtype)
        runs = estimates(estimator, scaled)
        errors, stated = errors_of(runs, scaled), np.asarray(runs.standard_error)
        ratio = np.sqrt(np.mean(errors**2)) / np.mean(stated)
        assert 0.85 < ratio < 1.5
        assert np.mean(np.abs(errors) > 3 * stated) < 0.08
        assert np.mean(np.abs(errors) > 4 * stated) < 0.04
        assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(SEEDS)


@pytest.mark.parametrize("name", ["outliers", "power law"])
def test_sketches_beat_hutchinson_at_equal_cost(dtype, name):
    matrix = jnp.asarray(prescribed_matrix(SPECTRA[name]), dtype)

    def spread(estimator):
        runs = estimates(estimator, matrix)
        assert (np.asarray(runs.matvecs) == 24).all()
        return np.sqrt(np.mean(errors_of(runs, matrix) ** 2))

    plain, plus_plus, exchange = (spread(estimator) for estimator in ESTIMATORS)
    assert plus_plus < plain / 2
    assert exchange < plain / 4


def test_hutchinson_has_the_error_of_its_theory(dtype):
    """Signs: variance 2 (|A|_F² - |diag A|²) / num_matvecs for a symmetric matrix."""
    matrix = prescribed_matrix(SPECTRA["outliers"])
    runs = estimates(hutchinson, jnp.asarray(matrix, dtype))
    variance = 2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 24
    actual = np.mean(errors_of(runs, matrix) ** 2)
    # A variance over 300 seeds has a relative standard error of sqrt(2 / 300) = 0.08.
    np.testing.assert_allclose(actual, variance, rtol=0.25)
    np.testing.assert_allclose(np.mean(np.asarray(runs.standard_error) ** 2), variance, rtol=0.25)


@pytest.mark.parametrize("rank", [1, 7])
@pytest.mark.parametrize("estimator", SKETCHES)
def test_a_rank_below_that_of_the_sketch_is_exact(dtype, estimator, rank):
    """The sketch is rank-deficient: nothing is divided by rounding, and the error is rounding."""
    left, right = np.random.default_rng(rank).standard_normal((2, SIZE, rank))
    for scale in (1e-8, 1.0, 1e8):
        matrix = jnp.asarray(scale * left @ right.T, dtype)
        runs = estimates(estimator, matrix)
        errors, stated = errors_of(runs, matrix), np.asarray(runs.standard_error)
        norm = float(np.linalg.norm(np.asarray(matrix, np.float64)))
        assert (np.abs(errors) <= 3 * stated).all()
        assert (stated <= tolerance(dtype, norm, factor=10 * np.sqrt(SIZE))).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_zero_operator(dtype, estimator):
    runs = estimates(estimator, jnp.zeros((SIZE, SIZE), dtype))
    np.testing.assert_array_equal(runs.estimate, 0)
    np.testing.assert_array_equal(runs.standard_error, 0)


def test_xtrace_of_a_multiple_of_the_identity_is_exact(dtype):
    """What the normalisation is for: the length of a probe says nothing about A."""
    matrix = 3 * jnp.eye(SIZE, dtype=dtype)
    runs = estimates(xtrace, matrix)
    np.testing.assert_allclose(runs.estimate, 3 * SIZE, rtol=tolerance(dtype, 1.0))


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_squares_of_extreme_numbers_neither_vanish_nor_overflow(dtype, estimator, scale):
    matrix = jnp.asarray(prescribed_matrix(SPECTRA["outliers"]), dtype)
    expected = estimates(estimator, matrix)
    runs = estimates(estimator, scale * matrix)
    # The estimate and its error are sums of terms far larger than they are.
    allowed = tolerance(dtype, 60.0, factor=200)
    np.testing.assert_allclose(runs.estimate / scale, expected.estimate, atol=allowed)
    np.testing.assert_allclose(runs.standard_error / scale, expected.standard_error, atol=allowed)


@functools.partial(jax.jit, static_argnums=0)
def vmapped_estimates(estimator, matrices, keys):
    def one(matrix, key):
        return estimator(any_matrix(matrix), key, num_matvecs=24)

    return jax.vmap(one)(matrices, keys)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_vmapped_estimates_equal_single_ones(dtype, estimator):
    """Over operators and keys; each by the same probes as alone."""
    spectra = [SPECTRA[name] for name in SPECTRA]
    matrices = jnp.asarray(np.stack([prescribed_matrix(values) for values in spectra]), dtype)
    keys = jax.random.split(jax.random.key(0), SEEDS)[: len(spectra)]
    batched = vmapped_estimates(estimator, matrices, keys)
    assert (np.asarray(batched.matvecs) == 24).all()
    for i, matrix in enumerate(matrices):
        alone = jax.tree.map(lambda leaf, i=i: leaf[i], estimates(estimator, matrix))
        allowed = tolerance(dtype, 60.0, factor=200)  # sums of terms far larger than they are
        np.testing.assert_allclose(batched.estimate[i], alone.estimate, atol=allowed)
        np.testing.assert_allclose(batched.standard_error[i], alone.standard_error, atol=allowed)
    assert len(np.unique(batched.estimate)) == len(spectra)


@pytest.mark.parametrize("num_matvecs", [6, 100])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_as_many_products_as_entries_give_the_exact_trace(dtype, estimator, num_matvecs):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((6, 6)), dtype)
    runs = estimates(estimator, matrix, num_matvecs=num_matvecs)
    stated = np.asarray(runs.standard_error)
    assert (np.asarray(runs.matvecs) == 6).all()
    assert (np.abs(errors_of(runs, matrix)) <= stated).all()
    assert (stated < tolerance(dtype, 20.0)).all()


@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_budgets_just_below_the_size(dtype, estimator, size):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((size, size)), dtype)
    runs = estimates(estimator, matrix, num_matvecs=size - 1)
    errors = errors_of(runs, matrix)
    assert (np.asarray(runs.matvecs) <= size - 1).all()
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(SEEDS)


@pytest.mark.parametrize("num_matvecs", [8, 20])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_product_that_is_not_finite_gives_nan(dtype, estimator, num_matvecs):
    matrix = jnp.eye(20, dtype=dtype).at[3, 4].set(jnp.nan)
    run = estimates(estimator, matrix, num_matvecs=num_matvecs)
    assert np.isnan(run.estimate).all()
    assert np.isnan(run.standard_error).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_pytree_operator_and_its_keys(dtype, estimator):
    """A tree of leaves is as good as a vector, and the key alone decides the probes."""
    entries = {"bias": jnp.arange(4.0, dtype=dtype), "weight": jnp.ones((5, 6), dtype)}

    def field(tree):  # trace 4 from the sum, and that of the entries
        return {
            "bias": entries["bias"] * tree["bias"] + jnp.sum(tree["bias"]),
            "weight": entries["weight"] * tree["weight"] + jnp.sum(tree["bias"]),
        }

    @jax.jit
    def run(keys):
        operator = gradient_jacobian(field, entries) + diagonal(entries)
        return jax.lax.map(lambda key: estimator(operator, key, num_matvecs=20), keys)

    keys = jax.random.split(jax.random.key(0), 40)
    first = run(keys)
    assert first.estimate.dtype == first.standard_error.dtype == dtype
    np.testing.assert_array_equal(first.estimate, run(keys).estimate)
    errors = np.asarray(first.estimate) - 76
    assert len(np.unique(errors)) > 20
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(40)


@pytest.mark.parametrize(
    ("estimator", "least"), [(hutchinson, 2), (hutch_plus_plus, 4), (xtrace, 4)]
)
def test_a_budget_too_small_for_an_error_is_refused(estimator, least):
    operator = diagonal(jnp.ones(10))
    jax.jit(lambda key: estimator(operator, key, num_matvecs=least))(jax.random.key(0))
    message = rf"an estimate with an error needs {least} products, got {least - 1}"
    with pytest.raises(ValueError, match=message):
        estimator(operator, jax.random.key(0), num_matvecs=least - 1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_map_that_is_not_square_has_no_trace(estimator):
    operator = linear(lambda v: v[:3], jnp.zeros(5))
    with pytest.raises(ValueError, match=r"square operator, got one from 5 entries to 3"):
        estimator(operator, jax.random.key(0), num_matvecs=4)
