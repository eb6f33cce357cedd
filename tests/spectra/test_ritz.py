# pyright: reportCallIssue=false
# SciPy chooses the subclass of LinearOperator at run time, which its annotations do not say.
import dataclasses
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    Extremes,
    extremes,
    ritz_values_per_start,
    shifted,
)
from tests.oracles.gauntlet import outlier_spectrum
from tests.oracles.spectra import (
    matrix_runs,
    prescribed_matrix,
    random_starts,
)


def ends_at(lowest, highest, error=0.0):
    return Extremes(
        lowest=lowest,
        lowest_error=error,
        highest=highest,
        highest_error=error,
        disagreement=0.0,
        matvecs=1,
        converged=True,
        orthogonality=0.0,
    )


@pytest.fixture
def outlier_runs(dtype):
    matrix = jnp.asarray(prescribed_matrix(outlier_spectrum()), dtype)
    return matrix_runs(matrix, random_starts(3, 600, dtype), max_matvecs=40)


def test_values_weights_and_errors_are_those_of_the_tridiagonal(outlier_runs, dtype):
    for i, run in enumerate(ritz_values_per_start(outlier_runs)):
        alpha = np.asarray(outlier_runs.alpha[i], np.float64)
        beta = np.asarray(outlier_runs.beta[i], np.float64)
        tridiagonal = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
        values, vectors = np.linalg.eigh(tridiagonal)
        eps = 16 * np.finfo(dtype).eps + 4 * np.sqrt(40) * np.finfo(np.float64).eps
        floor = eps * np.max(np.abs(values))
        np.testing.assert_allclose(run.values, values, atol=1e-12)
        np.testing.assert_allclose(run.weights, vectors[0] ** 2, atol=1e-12)
        np.testing.assert_allclose(
            run.errors, np.maximum(beta[-1] * np.abs(vectors[-1]), floor), atol=1e-12
        )
        assert run.matvecs == 40
        assert run.values.dtype == np.float64
        assert run.rounding == pytest.approx(floor)
        assert not run.exact


def test_extremes_take_the_outermost_value_of_all_starts(outlier_runs):
    runs = ritz_values_per_start(outlier_runs)
    low = min(runs, key=lambda run: run.values[0])
    high = max(runs, key=lambda run: run.values[-1])
    ends = extremes(runs)
    assert (ends.lowest, ends.highest) == (low.values[0], high.values[-1])
    assert ends.lowest_error >= low.errors[0]
    assert ends.highest_error >= high.errors[-1]
    assert ends.matvecs == 120
    assert not ends.converged
    assert ends.orthogonality == max(run.orthogonality for run in runs)
    assert 0 <= ends.disagreement <= 1


def test_a_start_that_misses_the_end_is_told_by_the_disagreement(dtype):
    """One start has nothing of the top eigenvector, converges, and is confident of the second."""
    eigenvalues = jnp.linspace(-1, 1, 60, dtype=dtype).at[-1].set(5)
    starts = random_starts(2, 60, dtype).at[0, -1].set(0)
    runs = ritz_values_per_start(
        matrix_runs(jnp.diag(eigenvalues), starts, max_matvecs=60, tolerance=1e-4)
    )
    ends = extremes(runs)
    assert all(run.converged for run in runs)
    assert runs[0].values[-1] < 1.01
    assert ends.disagreement > 100
    assert ends.highest == pytest.approx(5, abs=ends.highest_error)
    assert np.isnan(extremes(runs[:1]).disagreement)


def test_starts_that_agree_exactly_do_not_disagree(outlier_runs):
    run = ritz_values_per_start(outlier_runs)[0]
    exact = dataclasses.replace(run, errors=np.zeros_like(run.errors))
    assert extremes([exact, exact]).disagreement == 0


def test_a_run_that_failed_makes_the_extremes_nan(outlier_runs):
    good = ritz_values_per_start(outlier_runs)[0]
    bad = dataclasses.replace(good, values=good.values * np.nan, errors=good.errors * np.nan)
    ends = extremes([good, bad])
    assert np.isnan([ends.lowest, ends.highest, ends.lowest_error, ends.highest_error]).all()
    assert np.isnan(ends.disagreement)
    assert shifted(ends, 0.1).exceeds_one == "undecided"


@pytest.mark.parametrize("alpha", [1e-17, 1e-9, 0.1, 1.0])
@pytest.mark.parametrize(("lowest", "highest"), [(-0.3, 2.0), (0.2, 1.9), (-3.0, 30.0)])
def test_shift_keeps_every_digit(alpha, lowest, highest):
    """Against exact rationals; forming 1 - alpha lambda would lose all digits at 1e-17."""
    result = shifted(ends_at(lowest, highest), alpha)
    mu = [1 - Fraction(alpha) * Fraction(lam) for lam in (lowest, highest)]
    exact = max(abs(m) for m in mu) - 1
    assert result.high_minus_one == pytest.approx(float(mu[0] - 1), rel=1e-15)
    assert result.low_minus_one == pytest.approx(float(mu[1] - 1), rel=1e-15)
    assert result.spectral_radius_minus_one == pytest.approx(float(exact), rel=1e-13)
    assert result.exceeds_one == ("yes" if exact > 0 else "no")


@pytest.mark.parametrize(
    ("lowest", "highest", "error", "verdict"),
    [
        (-0.2, 1.0, 0.1, "yes"),
        (-0.1, 1.0, 0.2, "undecided"),
        (0.3, 1.0, 0.2, "no"),
        (0.3, 25.0, 4.0, "yes"),  # alpha lambda = 2.5: overshoot
        (0.3, 19.0, 2.0, "undecided"),
        (0.3, 19.0, 0.2, "no"),
        (0.0, 1.0, 0.0, "no"),  # exactly one is not more than one
    ],
)
def test_verdict_by_interval(lowest, highest, error, verdict):
    result = shifted(ends_at(lowest, highest, error), 0.1)
    assert result.exceeds_one == verdict
    assert result.low_minus_one_error == pytest.approx(0.1 * error)
    assert result.high_minus_one_error == pytest.approx(0.1 * error)


def test_errors_of_ends_reach_to_what_every_start_may_have_missed():
    """The polynomial with the Ritz values as zeros, at the end of the error: |p| = sqrt(d) / .05
    times the product of the couplings."""
    dtype = np.dtype(np.float32)
    entries = jnp.linspace(-1, 1, 400, dtype=dtype)
    starts = random_starts(2, 400, dtype)
    runs = matrix_runs(jnp.diag(entries), starts, max_matvecs=12)
    reach = []
    for i, run in enumerate(ritz_values_per_start(runs)):
        beta = np.asarray(runs.beta[i][:12], np.float64)
        edge = run.values[-1] + run.beyond[1]
        size = np.sum(np.log(edge - run.values)) - np.sum(np.log(beta))
        assert np.exp(size) == pytest.approx(20 / 0.05, rel=1e-4)
        reach.append(edge)
    ends = extremes(ritz_values_per_start(runs))
    assert ends.highest + ends.highest_error == pytest.approx(max(reach))
    assert max(reach) > 1


@pytest.mark.parametrize("index", [0, 17])
def test_a_no_needs_converged_starts_that_agree(index):
    """Ones but for one entry: a start in the eigenspace of ones sees it by fresh vectors alone."""
    dtype = np.dtype(np.float32)
    entries = jnp.ones(64, dtype).at[index].set(-0.5)
    starts = random_starts(2, 64, dtype)
    blind = starts.at[:, index].set(0)
    for vectors, matvecs, expected in (
        (starts, 1, "undecided"),
        (starts, 20, "yes"),
        (blind, 1, "undecided"),
        (blind[:1], 20, "yes"),
        (jnp.stack([starts[0], blind[0]]), 20, "yes"),
    ):
        runs = matrix_runs(jnp.diag(entries), vectors, max_matvecs=matvecs, tolerance=1e-3)
        assert shifted(extremes(ritz_values_per_start(runs)), 1.0).exceeds_one == expected
    good = matrix_runs(jnp.diag(entries + 1), starts, max_matvecs=20, tolerance=1e-3)
    assert shifted(extremes(ritz_values_per_start(good)), 0.5).exceeds_one == "no"
    ends = ends_at(0.3, 1.0, 0.1)
    for alone in ({"converged": False}, {"disagreement": np.nan}, {"disagreement": 2.0}):
        assert shifted(dataclasses.replace(ends, **alone), 0.1).exceeds_one == "undecided"


def test_radius_error_covers_every_spectrum_within_the_errors():
    ends = Extremes(
        lowest=-0.5,
        lowest_error=0.1,
        highest=24.0,
        highest_error=3.0,
        disagreement=0.0,
        matvecs=1,
        converged=True,
        orthogonality=0.0,
    )
    result = shifted(ends, 0.1)
    radii = [
        max(abs(1 - 0.1 * low), abs(1 - 0.1 * high)) - 1
        for low in (-0.6, -0.5, -0.4)
        for high in (21, 24, 27)
    ]
    distance = np.max(np.abs(np.array(radii) - result.spectral_radius_minus_one))
    assert result.spectral_radius_minus_one_error == pytest.approx(distance)


def test_a_negative_step_size_is_refused():
    with pytest.raises(ValueError, match=r"alpha is a step size and cannot be negative, got -0.1"):
        shifted(ends_at(-1.0, 1.0), -0.1)
