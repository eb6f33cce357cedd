"""Cases that published Hessian tools fail; the truth is known in each.

One rule for all: every value lies within its own error of an eigenvalue, both ends within their own
errors of the true ends, and no eigenvalue is listed more often than it occurs.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import extremes, hessian, lanczos, ritz_values_per_start, symmetric
from tests.oracles.spectra import (
    dense_hessian,
    low_rank_factors,
    matrix_runs,
    outlier_spectrum,
    prescribed_matrix,
    random_starts,
    tolerance,
)

SCALES = [1e-8, 1.0, 1e8]


def assert_honest(runs, truth, dtype):
    """The rule of this module, for every run and for their combination."""
    truth = np.sort(truth)
    allowed = tolerance(dtype, np.max(np.abs(truth)))
    for run in runs:
        distances = np.min(np.abs(run.values[:, None] - truth[None]), axis=1)
        assert (distances <= run.errors).all()
        assert abs(run.values[0] - truth[0]) <= run.errors[0]
        assert abs(run.values[-1] - truth[-1]) <= run.errors[-1]
        assert run.orthogonality < tolerance(dtype, 1.0)
        np.testing.assert_allclose(np.sum(run.weights), 1)
        for value in run.values[run.errors <= allowed]:
            listed = np.sum(np.abs(run.values - value) <= allowed)
            assert listed <= np.sum(np.abs(truth - value) <= 2 * allowed)
    ends = extremes(runs)
    assert abs(ends.lowest - truth[0]) <= ends.lowest_error
    assert abs(ends.highest - truth[-1]) <= ends.highest_error
    assert ends.disagreement <= 1


def prescribed_runs(eigenvalues, dtype, *, max_matvecs, tolerance=0.0, seed=0, count=3):
    matrix = jnp.asarray(prescribed_matrix(eigenvalues, seed), dtype)
    starts = random_starts(count, len(eigenvalues), dtype, seed)
    return ritz_values_per_start(
        matrix_runs(matrix, starts, max_matvecs=max_matvecs, tolerance=tolerance)
    )


@functools.partial(jax.jit, static_argnames="max_matvecs")
def low_rank_runs(factors, signs, starts, *, max_matvecs):
    def matvec(v):
        inner = jnp.matmul(factors.T, v, precision="highest")
        return jnp.matmul(factors, signs * inner, precision="highest")

    operator = symmetric(matvec, factors[:, 0])
    run = functools.partial(lanczos, operator, max_matvecs=max_matvecs, tolerance=0.0)
    return jax.lax.map(run, starts)


@pytest.mark.parametrize("scale", SCALES)
def test_g1_exact_low_rank(dtype, scale):
    """Rank 12 and 30 steps: 13 distinct eigenvalues, so breakdown is certain."""
    nonzero = scale * np.concatenate([[-1, 50], np.random.default_rng(0).uniform(1, 49, 10)])
    factors = low_rank_factors(2000, nonzero)
    signs = np.sign(nonzero)
    runs = low_rank_runs(
        jnp.asarray(factors, dtype),
        jnp.asarray(signs, dtype),
        random_starts(5, 2000, dtype),
        max_matvecs=30,
    )
    ritz = ritz_values_per_start(runs)
    assert_honest(ritz, np.concatenate([nonzero, np.zeros(1988)]), dtype)
    assert np.asarray(runs.broke_down).all()
    assert np.max(runs.active) < 20
    for run in ritz:
        large = run.values[np.abs(run.values) > 0.5 * scale]
        np.testing.assert_allclose(large, np.sort(nonzero), atol=tolerance(dtype, 50 * scale))


def test_g1b_tabular_policy_gradient(dtype):
    """Softmax policy surrogate, 50 states of which 6 are visited: rank 18 of 200."""
    rng = np.random.default_rng(1)
    states, actions = np.repeat(np.arange(6), 8), rng.integers(0, 4, 48)
    advantages = jnp.asarray(rng.standard_normal(48), dtype)

    def loss(logits):
        log_policy = jax.nn.log_softmax(logits)[states, actions]
        return -jnp.mean(advantages * log_policy)

    logits = jnp.asarray(rng.standard_normal((50, 4)), dtype)
    truth = np.linalg.eigvalsh(dense_hessian(loss, logits))
    start = functools.partial(lanczos, max_matvecs=40, tolerance=0.0)
    runs = jax.jit(
        lambda logits, starts: jax.lax.map(lambda v: start(hessian(loss, logits), v), starts)
    )(logits, random_starts(5, 200, dtype))
    assert np.sum(np.abs(truth) > 1e-4 * np.max(truth)) == 18
    assert_honest(ritz_values_per_start(runs), truth, dtype)
    assert np.asarray(runs.broke_down).all()
    assert np.max(runs.active) < 30


@pytest.mark.parametrize("seed", range(2))
def test_g2_clusters_and_exact_zeros_without_ghosts(dtype, seed):
    """Sixty steps after the outliers have converged list each of them once."""
    truth = outlier_spectrum()
    runs = prescribed_runs(truth, dtype, max_matvecs=60, seed=seed)
    assert_honest(runs, truth, dtype)
    expected = truth[np.abs(truth) >= 2]
    for run in runs:
        found = run.values[np.abs(run.values) > 1.5]
        np.testing.assert_allclose(found, expected, atol=tolerance(dtype, 100.0))


def test_g3_two_ends_of_almost_equal_size(dtype):
    truth = np.concatenate([[-99.9], np.linspace(-1, 1, 198), [100.0]])
    runs = prescribed_runs(truth, dtype, max_matvecs=60, tolerance=1e-5)
    assert_honest(runs, truth, dtype)
    assert all(run.converged and run.matvecs < 20 for run in runs)


@pytest.mark.parametrize("scale", SCALES)
def test_g4_early_breakdown_pads_nothing(dtype, scale):
    """Eight distinct eigenvalues in [4, 8]: a run ends with them, and makes up no zero.

    Without a tolerance, rounding may carry a run on: it then finds true copies of them.
    """
    distinct = scale * np.linspace(4, 8, 8)
    truth = np.repeat(distinct, 25)
    assert_honest(prescribed_runs(truth, dtype, max_matvecs=60), truth, dtype)
    runs = prescribed_runs(truth, dtype, max_matvecs=60, tolerance=1e-5)
    assert_honest(runs, truth, dtype)
    for run in runs:
        assert run.converged
        assert run.matvecs == 8
        np.testing.assert_allclose(run.values, distinct, atol=tolerance(dtype, 8 * scale))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_g5_the_scale_of_the_operator_does_not_matter(dtype, scale):
    """Same stop, same values, same errors, in units of the operator."""
    truth = np.sort(np.random.default_rng(2).standard_normal(200))
    for expected, run in zip(
        prescribed_runs(truth, dtype, max_matvecs=60, tolerance=1e-4),
        prescribed_runs(scale * truth, dtype, max_matvecs=60, tolerance=1e-4),
        strict=True,
    ):
        assert run.matvecs == expected.matvecs
        assert run.converged == expected.converged
        np.testing.assert_allclose(
            run.values[[0, -1]] / scale, expected.values[[0, -1]], atol=tolerance(dtype, 3.0)
        )
    assert_honest(
        prescribed_runs(scale * truth, dtype, max_matvecs=60, tolerance=1e-4), scale * truth, dtype
    )


def test_g6_a_far_negative_end(dtype):
    truth = np.concatenate([[-100.0], np.linspace(0, 10, 199)])
    runs = prescribed_runs(truth, dtype, max_matvecs=60, tolerance=1e-5)
    assert_honest(runs, truth, dtype)
    assert all(run.converged for run in runs)


@pytest.mark.parametrize("depth", [1, 5, 13])
def test_a_run_cut_short_is_honest_about_each_value(dtype, depth):
    """Far from convergence the residual bound still holds an eigenvalue."""
    truth = np.sort(np.random.default_rng(3).uniform(-1, 3, 200))
    for run in prescribed_runs(truth, dtype, max_matvecs=depth):
        distances = np.min(np.abs(run.values[:, None] - truth[None]), axis=1)
        assert (distances <= run.errors).all()
        assert not run.converged
