import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import diagonal, gradient_jacobian, linear
from hessdiag.spectra.trace import sketched_trace
from tests.oracles.spectra import prescribed_matrix, tolerance

SEEDS = 300
SIZE = 60

SPECTRA = {
    "flat": np.linspace(-1, 1.6, SIZE),
    "outliers": np.concatenate([[60.0, -20.0, 12.0, 5.0], np.linspace(0, 1, SIZE - 4)]),
    "power law": np.arange(1, SIZE + 1) ** -2.0,
}


def any_matrix(matrix):
    """A matrix as an operator that is not declared symmetric."""
    return linear(lambda v: jnp.matmul(matrix, v, precision="highest"), matrix[0])


@functools.partial(jax.jit, static_argnames="num_matvecs")
def estimates(matrix, *, num_matvecs=24):
    """One estimate per seed."""
    one = functools.partial(sketched_trace, any_matrix(matrix), num_matvecs=num_matvecs)
    return jax.lax.map(one, jax.random.split(jax.random.key(0), SEEDS))


def errors_of(runs, matrix):
    return np.asarray(runs.estimate, np.float64) - np.trace(np.asarray(matrix, np.float64))


@pytest.mark.parametrize("num_matvecs", [4, 8, 24])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_95_percent_interval_holds_the_truth_in_95_percent(name, num_matvecs):
    """And the standard error is that of the estimates, which have no bias; 300 seeds."""
    matrix = jnp.asarray(prescribed_matrix(SPECTRA[name]), np.float32)
    runs = estimates(matrix, num_matvecs=num_matvecs)
    errors, stated = errors_of(runs, matrix), np.asarray(runs.standard_error)
    covered = np.mean(np.abs(errors) <= runs.half_width)
    assert 0.95 - 0.03 - 0.03 < covered < 0.95 + 0.03 + 0.02
    assert 0.8 < np.sqrt(np.mean(errors**2) / np.mean(stated**2)) < 1.25
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(SEEDS)


def test_one_direction_that_dominates_leaves_one_degree_of_freedom_a_vector():
    """The worst case: what is left of the sketch has rank one, and scatters as chi-squared."""
    matrix = jnp.asarray(prescribed_matrix(np.r_[np.ones(SIZE - 2), 30, -20.0]), np.float32)
    runs = estimates(matrix, num_matvecs=5)
    assert np.median(runs.degrees) < 4
    assert 0.89 < np.mean(np.abs(errors_of(runs, matrix)) <= runs.half_width) < 0.995


@pytest.mark.parametrize("name", ["outliers", "power law"])
def test_the_sketch_beats_random_signs_at_equal_cost(dtype, name):
    """Hutchinson's 24 signs have variance 2 (|A|_F² - |diag A|²) / 24 for a symmetric matrix."""
    matrix = prescribed_matrix(SPECTRA[name])
    runs = estimates(jnp.asarray(matrix, dtype))
    assert (np.asarray(runs.matvecs) == 24).all()
    plain = np.sqrt(2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 24)
    assert np.sqrt(np.mean(errors_of(runs, matrix) ** 2)) < plain / 4


@pytest.mark.parametrize("rank", [1, 7])
def test_a_rank_below_that_of_the_sketch_is_exact(dtype, rank):
    """The sketch is rank-deficient, what it leaves is rounding, and so is the error."""
    left, right = np.random.default_rng(rank).standard_normal((2, SIZE, rank))
    for scale in (1e-8, 1.0, 1e8):
        matrix = jnp.asarray(scale * left @ right.T, dtype)
        runs = estimates(matrix)
        errors, stated = errors_of(runs, matrix), runs.half_width
        norm = float(np.linalg.norm(np.asarray(matrix, np.float64)))
        assert (np.abs(errors) <= stated).all()
        assert (stated <= tolerance(dtype, norm, factor=20 * np.sqrt(SIZE))).all()


def test_zero_operator(dtype):
    runs = estimates(jnp.zeros((SIZE, SIZE), dtype))
    np.testing.assert_array_equal(runs.estimate, 0)
    np.testing.assert_array_equal(runs.standard_error, 0)
    assert (runs.half_width < 1e-30).all()


def test_products_that_underflow_are_not_without_error():
    """Numbers below the smallest normal one may come out as zero."""
    runs = estimates(jnp.asarray(1e-40 * np.eye(SIZE), np.float32))
    assert (np.abs(errors_of(runs, 1e-40 * np.eye(SIZE))) <= runs.half_width).all()


def test_the_trace_of_a_multiple_of_the_identity_is_exact(dtype):
    """What the normalisation is for: the length of a vector says nothing about A."""
    matrix = 3 * jnp.eye(SIZE, dtype=dtype)
    runs = estimates(matrix)
    np.testing.assert_allclose(runs.estimate, 3 * SIZE, rtol=tolerance(dtype, 1.0))


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_squares_of_extreme_numbers_neither_vanish_nor_overflow(dtype, scale):
    matrix = jnp.asarray(prescribed_matrix(SPECTRA["outliers"]), dtype)
    expected = estimates(matrix)
    runs = estimates(scale * matrix)
    # The estimate and its error are sums of terms far larger than they are.
    allowed = tolerance(dtype, 60.0, factor=200)
    np.testing.assert_allclose(runs.estimate / scale, expected.estimate, atol=allowed)
    np.testing.assert_allclose(runs.standard_error / scale, expected.standard_error, atol=allowed)


@jax.jit
def vmapped_estimates(matrices, keys):
    def one(matrix, key):
        return sketched_trace(any_matrix(matrix), key, num_matvecs=24)

    return jax.vmap(one)(matrices, keys)


def test_vmapped_estimates_equal_single_ones(dtype):
    """Over operators and keys; each by the same probes as alone."""
    spectra = [SPECTRA[name] for name in SPECTRA]
    matrices = jnp.asarray(np.stack([prescribed_matrix(values) for values in spectra]), dtype)
    keys = jax.random.split(jax.random.key(0), SEEDS)[: len(spectra)]
    batched = vmapped_estimates(matrices, keys)
    assert (np.asarray(batched.matvecs) == 24).all()
    for i, matrix in enumerate(matrices):
        alone = jax.tree.map(lambda leaf, i=i: leaf[i], estimates(matrix))
        allowed = tolerance(dtype, 60.0, factor=200)  # sums of terms far larger than they are
        np.testing.assert_allclose(batched.estimate[i], alone.estimate, atol=allowed)
        np.testing.assert_allclose(batched.standard_error[i], alone.standard_error, atol=allowed)
    assert len(np.unique(batched.estimate)) == len(spectra)


@pytest.mark.parametrize("num_matvecs", [6, 100])
def test_as_many_products_as_entries_give_the_exact_trace(dtype, num_matvecs):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((6, 6)), dtype)
    runs = estimates(matrix, num_matvecs=num_matvecs)
    stated = runs.half_width
    assert (np.asarray(runs.matvecs) == 6).all()
    assert (np.abs(errors_of(runs, matrix)) <= stated).all()
    assert (stated < tolerance(dtype, 20.0)).all()


@pytest.mark.parametrize(("dtype", "size"), [("float32", 5), ("float64", 8)], indirect=["dtype"])
def test_budgets_just_below_the_size(dtype, size):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((size, size)), dtype)
    runs = estimates(matrix, num_matvecs=size - 1)
    errors = errors_of(runs, matrix)
    assert (np.asarray(runs.matvecs) <= size - 1).all()
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(SEEDS)


@pytest.mark.parametrize(("size", "num_matvecs"), [(SIZE, 24), (6, 6)])
def test_a_product_that_is_not_finite_gives_nan(dtype, size, num_matvecs):
    matrix = jnp.eye(size, dtype=dtype).at[3, 4].set(jnp.nan)
    run = estimates(matrix, num_matvecs=num_matvecs)
    assert np.isnan(run.estimate).all()
    assert np.isnan(run.half_width).all()


def test_a_pytree_operator_and_its_keys(dtype):
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
        return jax.lax.map(lambda key: sketched_trace(operator, key, num_matvecs=20), keys)

    keys = jax.random.split(jax.random.key(0), 40)
    first = run(keys)
    assert first.estimate.dtype == first.standard_error.dtype == dtype
    np.testing.assert_array_equal(first.estimate, run(keys).estimate)
    errors = np.asarray(first.estimate) - 76
    assert len(np.unique(errors)) > 20
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(40)


def test_a_budget_too_small_for_an_error_is_refused():
    operator = diagonal(jnp.ones(10))
    jax.jit(lambda key: sketched_trace(operator, key, num_matvecs=4))(jax.random.key(0))
    with pytest.raises(ValueError, match=r"an estimate with an error needs 4 products, got 3"):
        sketched_trace(operator, jax.random.key(0), num_matvecs=3)


def test_a_map_that_is_not_square_has_no_trace():
    operator = linear(lambda v: v[:3], jnp.zeros(5))
    with pytest.raises(ValueError, match=r"square operator, got one from 5 entries to 3"):
        sketched_trace(operator, jax.random.key(0), num_matvecs=4)
