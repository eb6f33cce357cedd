import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    cumulative,
    density,
    grid,
    mass,
    mass_split,
    matrix_spectrum,
    moment,
    ritz_values_per_start,
)
from tests.oracles.gauntlet import outlier_spectrum
from tests.oracles.spectra import (
    matrix_runs,
    prescribed_matrix,
    random_starts,
)

ATOMS = np.repeat([-4.0, -1.0, 0.0, 1.0, 3.0], [5, 15, 120, 50, 10])  # d = 200


def runs_of(eigenvalues, dtype, *, count=12, max_matvecs=40):
    matrix = jnp.asarray(prescribed_matrix(eigenvalues), dtype)
    starts = random_starts(max(count, 12), len(eigenvalues), dtype)
    return ritz_values_per_start(matrix_runs(matrix, starts, max_matvecs=max_matvecs))[:count]


def assert_within(estimate, truth, *, errors=1.5):
    """One and a half half-widths are three standard errors."""
    mean, error = estimate
    assert error > 0
    assert abs(mean - truth) <= errors * error


@pytest.mark.parametrize("order", [1, 2])
def test_moments_are_traces(dtype, order):
    """trace(A) / d and trace(A^2) / d within three standard errors."""
    truth = outlier_spectrum()
    assert_within(moment(runs_of(truth, dtype), order), np.mean(truth**order))


def test_the_error_of_a_moment_is_that_of_the_sphere():
    """For a random direction v, var(v'Av) = 2 (tr A^2 / d - (tr A / d)^2) / (d + 2)."""
    truth = np.linspace(-1, 2, 200)
    _, error = moment(runs_of(truth, np.float32, count=12, max_matvecs=10), 1)
    theory = np.sqrt(2 * np.var(truth) / 202 / 12)
    # Each start measures the variance to 7 %, the square root of their mean to 1 %.
    assert error == pytest.approx(1.96 * theory, rel=0.05)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_mass_split_counts_the_eigenvalues_of_each_kind(dtype, scale):
    """Exact zeros are neither sign, also in float32, at any scale of the operator."""
    split = mass_split(runs_of(scale * ATOMS, dtype), 1 / scale)
    assert_within(split.above, 20 / 200)
    assert_within(split.inside, 50 / 200)
    assert_within(split.below, 10 / 200)
    assert_within(split.zero, 120 / 200)
    assert split.undecided[0] < 1e-10
    total = sum(part[0] for part in (split.above, split.inside, split.below, split.zero))
    assert total == pytest.approx(1)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.6, 1.0, 3.0])
def test_mass_split_of_an_exact_spectrum_has_no_error(dtype, alpha):
    spectrum = matrix_spectrum(np.asarray(prescribed_matrix(ATOMS), dtype))
    split = mass_split([spectrum], alpha)
    h = -alpha * ATOMS
    expected = [np.mean(h > 0), np.mean((h < 0) & (h >= -2)), np.mean(h < -2), np.mean(h == 0)]
    parts = [split.above, split.inside, split.below, split.zero]
    np.testing.assert_allclose([part[0] for part in parts], expected)
    assert [part[1] for part in parts] == [0, 0, 0, 0]
    assert split.undecided == (0, 0)


def test_undecided_is_what_the_quadratures_leave_open():
    """A cluster at zero inside a bulk: of its sign nothing is known."""
    values = np.concatenate([np.zeros(60), np.linspace(-1, 1, 140)])
    few, many = (mass_split(runs_of(values, np.float32, max_matvecs=m), 1.0) for m in (10, 40))
    assert 0.3 < many.undecided[0] < few.undecided[0]
    assert many.above[1] > 60 / 200 / 2  # as they may all be negative
    for split in (few, many):
        assert_within(split.above, 70 / 200, errors=1.2)
        assert_within(split.zero, 60 / 200, errors=1.2)


def test_a_cluster_in_a_gap_is_resolved_to_rounding():
    values = np.concatenate([np.zeros(60), np.linspace(0.5, 1, 140)])
    split = mass_split(runs_of(values, np.float32), 1.0)
    assert split.undecided[0] < 1e-6
    assert_within(split.zero, 60 / 200)
    assert split.above[1] < 0.1 / 200  # no eigenvalue can hide there


def test_mass_of_an_interval_includes_its_ends(dtype):
    spectrum = dataclasses.replace(
        matrix_spectrum(np.asarray(np.diag(ATOMS), dtype)), values=np.sort(ATOMS)
    )
    assert mass([spectrum], 1.0, 3.0) == (pytest.approx(60 / 200), 0.0)
    assert mass([spectrum], -2.0, -1.0) == (pytest.approx(15 / 200), 0.0)
    assert_within(mass(runs_of(ATOMS, dtype), 0.5, 10), 60 / 200)


def test_one_random_start_knows_its_own_error(dtype):
    """For it is known how random directions scatter."""
    run = runs_of(ATOMS, dtype, count=1)
    points = grid(run, 9)
    assert_within(moment(run, 1), np.mean(ATOMS))
    exact = np.mean(points[:, None] >= ATOMS[None], axis=1)
    mean, error = cumulative(run, points)
    assert (np.abs(mean - exact) <= 1.5 * error).all()


def test_cumulative_matches_the_counts_between_the_atoms(dtype):
    runs = runs_of(ATOMS, dtype)
    points = np.array([-5.0, -2.0, -0.5, 0.5, 2.0, 3.5])
    mean, error = cumulative(runs, points)
    exact = np.mean(points[:, None] >= ATOMS[None], axis=1)
    np.testing.assert_allclose(mean[[0, -1]], [0, 1], atol=1e-12)
    assert (np.abs(mean - exact) <= 1.5 * error).all()
    assert (np.diff(mean) > 0).all()


def test_cumulative_of_an_unresolved_bulk(dtype):
    """Ten steps on 200 even eigenvalues: within the error, and the weight of one node."""
    truth = np.linspace(0, 1, 200)
    runs = runs_of(truth, dtype, max_matvecs=10)
    points = np.linspace(-0.1, 1.1, 50)
    mean, error = cumulative(runs, points)
    exact = np.mean(points[:, None] >= truth[None], axis=1)
    assert (np.abs(mean - exact) <= error).all()
    assert np.max(np.abs(mean - exact)) <= np.max([np.max(run.weights) for run in runs])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_density_integrates_to_one_and_scales_with_the_operator(scale):
    spectrum = matrix_spectrum(np.diag(ATOMS))
    scaled = matrix_spectrum(np.diag(scale * ATOMS))
    points = grid([spectrum], 2000)
    curve = density([spectrum], points)
    assert np.trapezoid(curve, points) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(grid([scaled], 2000), scale * points, rtol=1e-6)
    np.testing.assert_allclose(density([scaled], scale * points), curve / scale, rtol=1e-6)


def test_density_is_the_mean_over_the_starts_and_sees_each_outlier():
    runs = runs_of(ATOMS, np.float32, count=3)
    points = grid(runs, 400)
    curve = density(runs, points)
    each = [density([run], points) for run in runs]
    # One start alone has a slightly different axis: its own largest value.
    np.testing.assert_allclose(curve, np.mean(each, axis=0), rtol=1e-4, atol=1e-4)
    peaks = points[1:-1][(curve[1:-1] > curve[:-2]) & (curve[1:-1] > curve[2:])]
    np.testing.assert_allclose(peaks, [-4, -1, 0, 1, 3], rtol=0.05, atol=1e-3)


def test_density_has_a_relative_width():
    """One eigenvalue, far from zero: its kernel has a standard deviation of 15 %."""
    for value in (1e-8, 5.0, 1e8):
        spectrum = matrix_spectrum(np.array([[value]]))
        points = grid([spectrum], 4000)
        curve = density([spectrum], points)
        middle = np.trapezoid(curve * points, points)
        spread = np.sqrt(np.trapezoid(curve * (points - middle) ** 2, points))
        assert spread / value == pytest.approx(0.15, rel=0.05)


def test_grid_covers_every_node_with_room_for_the_kernel(dtype):
    runs = runs_of(ATOMS, dtype, count=3)
    points = grid(runs, 77)
    assert points.shape == (77,)
    assert (np.diff(points) > 0).all()
    assert points[0] < -4
    assert points[-1] > 3


def test_the_zero_operator_has_all_its_mass_at_zero():
    spectrum = matrix_spectrum(np.zeros((5, 5)))
    points = grid([spectrum], 401)
    assert mass_split([spectrum], 0.1).zero == (1, 0)
    assert np.trapezoid(density([spectrum], points), points) == pytest.approx(1, abs=1e-3)


def test_a_failed_run_makes_every_mean_nan(dtype):
    good, bad = runs_of(ATOMS, dtype, count=2)
    nan = np.full_like(bad.values, np.nan)
    bad = dataclasses.replace(bad, values=nan, weights=nan, errors=nan)
    split = mass_split([good, bad], 1.0)
    assert np.isnan([part[0] for part in dataclasses.astuple(split)]).all()
    assert np.isnan(moment([bad, good], 2)[0])


def test_a_negative_step_size_is_refused():
    with pytest.raises(ValueError, match=r"alpha is a step size.*-1"):
        mass_split([matrix_spectrum(np.diag(ATOMS))], -1.0)
