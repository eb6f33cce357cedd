import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra.complex_ritz import complex_ritz_values, eigenvalue_distance
from tests.oracles.nonnormal import (
    arnoldi_runs,
    departure_bound,
    distances,
    jordan_block,
    rotations,
    true_eigenvalues,
    zoo,
)
from tests.oracles.spectra import random_starts, tolerance

SIZE = 30


def ritz_of(matrix, dtype, *, departure=None, **options):
    """Estimates from two starts, and the matrix as the products had it, in float64."""
    rounded = np.asarray(matrix, dtype)
    starts = random_starts(2, len(matrix), dtype)
    runs = arnoldi_runs(jnp.asarray(rounded), starts, **options)
    exact = rounded.astype(np.float64)
    departure = departure_bound(exact) if departure is None else departure
    return [complex_ritz_values(run, departure=departure) for run in runs], exact


def backward_errors(matrix, values):
    """Smallest |E| for which each value is an eigenvalue of A + E."""
    identity = np.eye(len(matrix))
    return np.array([np.linalg.norm(matrix - value * identity, -2) for value in values])


def at_depth(run, depth):
    """What the run had after so many steps, not all of its own."""
    if depth == run.active:
        return run
    return run._replace(
        active=depth, residual=run.hessenberg[depth, depth - 1], converged=False, broke_down=False
    )


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("name", zoo(SIZE))
def test_every_value_lies_within_its_error_of_an_eigenvalue(dtype, name, scale):
    """At every depth from one step to the last."""
    rounded = np.asarray(scale * zoo(SIZE)[name], dtype)
    exact = rounded.astype(np.float64)
    truth, departure = true_eigenvalues(exact), departure_bound(exact)
    starts = random_starts(2, SIZE, dtype)
    for run in arnoldi_runs(jnp.asarray(rounded), starts, max_matvecs=SIZE):
        assert run.active <= SIZE
        for depth in range(1, run.active + 1):
            ritz = complex_ritz_values(at_depth(run, depth), departure=departure)
            assert (distances(ritz.values, truth) <= ritz.errors).all(), depth
            assert (backward_errors(exact, ritz.values) <= ritz.residuals).all(), depth
            assert (ritz.residuals >= ritz.rounding).all()
            assert (ritz.estimates <= ritz.errors).all()
            assert ritz.matvecs == depth


@pytest.mark.parametrize("depth", [1, 17])
def test_the_leading_part_of_a_run_is_a_shorter_run(dtype, depth):
    """So that the depths of the test above are those that a caller would see."""
    for matrix in zoo(SIZE).values():
        shorter, exact = ritz_of(matrix, dtype, max_matvecs=depth)
        starts = random_starts(2, SIZE, dtype)
        runs = arnoldi_runs(jnp.asarray(matrix, dtype), starts, max_matvecs=SIZE)
        for short, run in zip(shorter, runs, strict=True):
            expected = complex_ritz_values(
                at_depth(run, min(depth, int(run.active))), departure=departure_bound(exact)
            )
            # Two programs may round differently, which later steps amplify.
            allowed = tolerance(dtype, float(np.linalg.norm(exact, 2)), factor=100)
            np.testing.assert_allclose(short.residuals, expected.residuals, atol=allowed)


@pytest.mark.parametrize("depth", [17, SIZE])
def test_values_fall_in_modulus_and_come_in_whole_pairs(dtype, depth):
    for matrix in zoo(SIZE).values():
        for ritz in ritz_of(matrix, dtype, max_matvecs=depth)[0]:
            assert (np.diff(np.abs(ritz.values)) <= 0).all()
            complex_ones = ritz.values[np.imag(ritz.values) != 0]
            np.testing.assert_array_equal(complex_ones[1::2], complex_ones[::2].conj())
            assert (np.imag(complex_ones[::2]) > 0).all()


def test_the_whole_spectrum_at_full_depth(dtype):
    """Well-conditioned eigenvalues: each is listed, and first-order errors hold."""
    for name in ("rotations", "asymmetric", "preconditioned", "symmetric"):
        runs, exact = ritz_of(zoo(SIZE)[name], dtype, max_matvecs=SIZE)
        truth = true_eigenvalues(exact)
        for ritz in runs:
            assert ritz.converged
            assert len(ritz.values) == SIZE
            assert (distances(ritz.values, truth) <= ritz.estimates).all(), name
            assert (distances(truth, ritz.values) <= np.max(ritz.estimates)).all(), name
            assert np.max(ritz.estimates) < 1e3 * np.finfo(dtype).eps * np.linalg.norm(exact, 2)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_value_of_largest_modulus_is_found_when_the_run_converged(dtype, scale):
    for name in ("rotations", "preconditioned", "symmetric", "low rank"):
        runs, exact = ritz_of(scale * zoo(SIZE)[name], dtype, max_matvecs=SIZE, tolerance=1e-4)
        for ritz in runs:
            assert ritz.converged
            largest = np.max(np.abs(true_eigenvalues(exact)))
            error = ritz.conditions[0] * ritz.residuals[0]
            assert abs(np.abs(ritz.values[0]) - largest) <= error, name
            assert error < 0.01 * largest


def test_a_normal_matrix_known_to_be_normal_has_errors_as_small_as_its_residuals(dtype):
    runs, exact = ritz_of(rotations(SIZE), dtype, departure=0.0, max_matvecs=17)
    for ritz in runs:
        np.testing.assert_array_equal(ritz.errors, ritz.residuals)
        assert (distances(ritz.values, true_eigenvalues(exact)) <= ritz.errors).all()


def test_the_error_of_a_jordan_block_is_the_size_of_the_truth(dtype):
    """All 30 values lie on a circle of radius about eps^(1/30), and the bound says so."""
    runs, _ = ritz_of(jordan_block(SIZE, 1.0), dtype, max_matvecs=SIZE)
    for ritz in runs:
        distance = np.abs(ritz.values - 1)
        assert np.max(distance) > 0.1
        assert (distance <= ritz.errors).all()
        assert (ritz.errors < 3 * np.max(distance)).all()


def test_nothing_is_known_of_an_operator_of_unknown_departure(dtype):
    ritz = ritz_of(rotations(SIZE), dtype, departure=np.inf, max_matvecs=17)[0][0]
    assert np.isinf(ritz.errors).all()
    assert np.isfinite(ritz.estimates).all()
    ritz = ritz_of(rotations(SIZE), dtype, departure=np.nan, max_matvecs=17)[0][0]
    assert np.isnan(ritz.errors).all()


def test_condition_numbers_are_those_of_the_matrix():
    """[[1, k], [0, 2]] has 1 / |y'x| = sqrt(1 + k^2) for both eigenvalues."""
    matrix = np.array([[1.0, 50.0], [0.0, 2.0]])
    ritz = ritz_of(matrix, np.float32, max_matvecs=2)[0][0]
    np.testing.assert_allclose(ritz.values, [2, 1], rtol=1e-3)
    np.testing.assert_allclose(ritz.conditions, np.sqrt(1 + 50.0**2), rtol=1e-3)


@pytest.mark.parametrize("size", [2, 3, 10, 60])
@pytest.mark.parametrize("departure", [1e-3, 1.0, 30.0])
def test_distance_holds_for_triangular_matrices(size, departure):
    """The eigenvalues and the departure are read off, the residual is a smallest singular value."""
    rng = np.random.default_rng(size)
    identity = np.eye(size)
    for off_diagonal in (
        rng.standard_normal((size, size)),
        np.eye(size, k=1),
        np.ones((size, size)),
    ):
        strict = np.triu(off_diagonal, 1)
        strict *= departure / np.linalg.norm(strict)
        for diagonal in (np.zeros(size), rng.standard_normal(size)):
            matrix = np.diag(diagonal) + strict
            near = diagonal[0] + departure * np.logspace(-3, 2, 30)
            thetas = np.concatenate([rng.standard_normal(20), near])
            residuals = backward_errors(matrix, thetas)
            bounds = eigenvalue_distance(residuals, departure=departure, size=size)
            # A residual computed as a difference of large numbers has their rounding.
            certain = residuals > 1e-13 * np.linalg.norm(matrix + np.max(np.abs(thetas)) * identity)
            assert np.sum(certain) >= 10
            assert (distances(thetas, diagonal) <= bounds * (1 + 1e-9))[certain].all()


@pytest.mark.parametrize("size", [2, 30, 10**6])
def test_distance_solves_its_equation(size):
    """s = r phi(departure / s), with either bound the smaller one somewhere."""
    residuals, departure = np.logspace(-3, 2, 21), 1.0
    s = eigenvalue_distance(residuals, departure=departure, size=size)
    smaller = set()
    for residual, distance in zip(residuals, s, strict=True):
        x = departure / distance
        neumann = np.inf if x > 1 and size > 30 else (1 - x**size) / (1 - x)
        product = np.exp((size - 1) / 2 * np.log1p((1 + x**2) / (size - 1)))
        smaller.add(neumann < product)
        np.testing.assert_allclose(distance, residual * min(neumann, product), rtol=1e-9)
    assert smaller == {True, False} or size == 2


@pytest.mark.parametrize("size", [1, 2, 30, 1000, 10**6])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_distance_is_ordered_and_bounded(size, scale):
    residuals = scale * np.logspace(-16, 16, 65)
    previous = eigenvalue_distance(residuals, departure=0.0, size=size)
    np.testing.assert_array_equal(previous, residuals)
    for departure in scale * np.logspace(-16, 16, 17):
        distance = eigenvalue_distance(residuals, departure=departure, size=size)
        assert (np.diff(distance) > 0).all()
        assert (distance >= previous * (1 - 1e-9)).all()
        assert (distance >= residuals).all()
        assert (distance <= (residuals + departure) * (1 + 1e-9)).all()
        scaled = eigenvalue_distance(residuals / scale, departure=departure / scale, size=size)
        np.testing.assert_allclose(distance, scale * scaled, rtol=1e-9)
        previous = distance


def test_distance_of_an_eigenvalue_is_zero():
    np.testing.assert_array_equal(eigenvalue_distance(np.zeros(2), departure=3.0, size=5), 0)


def test_distance_at_large_size_stays_below_the_departure():
    """The Neumann series alone would give 1, the departure, for d = 10^6."""
    distance = eigenvalue_distance(np.array([1e-7, 1e-14]), departure=1.0, size=10**6)
    assert (distance < [0.2, 0.15]).all()


def test_a_negative_departure_is_refused():
    with pytest.raises(ValueError, match="negative"):
        eigenvalue_distance(np.ones(1), departure=-1.0, size=5)
