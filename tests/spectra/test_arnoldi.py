import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import linear
from hessdiag.spectra.arnoldi import arnoldi
from hessdiag.spectra.complex_ritz import complex_ritz_values, spectral_radius_minus_one
from tests.oracles.nonnormal import (
    arnoldi_runs,
    asymmetric,
    distances,
    each_run,
    low_rank,
    rotations,
    square_operator,
    zoo,
)
from tests.oracles.spectra import (
    changes_of_basis,
    matrix_runs,
    prescribed_matrix,
    random_starts,
    tolerance,
)

SIZE = 30


def runs_of(matrix, dtype, **options):
    """Runs on a matrix from two random starts."""
    starts = random_starts(2, len(matrix), dtype)
    return arnoldi_runs(jnp.asarray(matrix, dtype), starts, **options)


def with_outliers(values, size=80):
    """A non-normal matrix with these eigenvalues and others in a disc of radius 0.3."""
    matrix = 0.3 * asymmetric(size, seed=4)
    matrix[: len(values)] = 0
    matrix[: len(values), : len(values)] = np.diag(values) + 0.2 * np.eye(len(values), k=1)
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((size, size)))[0]
    return basis @ matrix @ basis.T


@pytest.mark.parametrize(
    ("depth", "scale"), [(1, 1.0), (17, 1e-8), (17, 1.0), (17, 1e8), (SIZE, 1.0)]
)
def test_defining_identity_and_orthonormality(dtype, depth, scale):
    """A Q' = Q' H + r e' with Q Q' = I, Q r = 0 and |r| = residual, at every depth up to d."""
    for matrix in zoo(SIZE).values():
        rounded = scale * np.asarray(matrix, dtype)
        for run in runs_of(rounded, dtype, max_matvecs=depth):
            active = int(run.active)
            basis = np.asarray(run.basis, np.float64)[:active]
            hessenberg = np.asarray(run.hessenberg, np.float64)[:active, :active]
            allowed = tolerance(dtype, float(np.linalg.norm(rounded, 2)))
            assert active == depth or run.broke_down
            assert run.hessenberg.dtype == np.asarray(run.basis).dtype == dtype
            assert run.size == SIZE
            np.testing.assert_array_equal(hessenberg, np.triu(hessenberg, -1))
            np.testing.assert_allclose(basis @ basis.T, np.eye(active), atol=tolerance(dtype, 1.0))
            remainder = rounded.astype(np.float64) @ basis.T - basis.T @ hessenberg
            np.testing.assert_allclose(remainder[:, :-1], 0, atol=allowed)
            np.testing.assert_allclose(np.linalg.norm(remainder[:, -1]), run.residual, atol=allowed)
            np.testing.assert_allclose(basis @ remainder[:, -1], 0, atol=allowed)
            products = np.linalg.norm(rounded.astype(np.float64) @ basis.T, axis=0)
            np.testing.assert_allclose(run.scale, np.max(products), rtol=tolerance(dtype, 1.0))
            np.testing.assert_array_equal(run.hessenberg[active:], 0)
            np.testing.assert_array_equal(run.hessenberg[:, active:], 0)


@pytest.mark.parametrize("matrix", ["outliers", "rotations", "preconditioned", "low rank"])
def test_no_eigenvalue_is_listed_more_often_than_it_occurs(dtype, matrix):
    """Far beyond the depth at which the outermost have converged: no ghosts.

    Without reorthogonalisation converged eigenvalues come again and again.
    """
    exact = zoo(SIZE).get(matrix, with_outliers([-5.0, 3.0, 2.9]))
    truth = np.linalg.eigvals(np.asarray(exact, dtype).astype(np.float64))
    for run in runs_of(exact, dtype, max_matvecs=len(exact)):
        ritz = complex_ritz_values(run, departure=0.0)
        near = tolerance(dtype, np.max(np.abs(truth)), factor=1000)
        settled = ritz.values[ritz.conditions * ritz.residuals <= near / 2]
        assert len(settled) >= 3
        for value in settled:
            listed = np.sum(np.abs(ritz.values - value) <= near)
            assert listed <= np.sum(np.abs(truth - value) <= 2 * near)


def test_on_a_symmetric_matrix_it_is_lanczos(dtype):
    matrix = prescribed_matrix(np.linspace(-1, 3, SIZE))
    starts = random_starts(2, SIZE, dtype)
    lanczos_runs = matrix_runs(jnp.asarray(matrix, dtype), starts, max_matvecs=17)
    allowed = tolerance(dtype, 3.0)
    for i, run in enumerate(runs_of(matrix, dtype, max_matvecs=17)):
        alpha, beta = np.asarray(lanczos_runs.alpha[i]), np.asarray(lanczos_runs.beta[i])
        tridiagonal = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
        np.testing.assert_allclose(run.hessenberg, tridiagonal, atol=allowed)
        np.testing.assert_allclose(run.residual, beta[-1], atol=allowed)
        expected = np.asarray(lanczos_runs.basis)[i]
        np.testing.assert_allclose(np.asarray(run.basis), expected, atol=10 * allowed)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("change", ["permutation", "general"])
def test_an_orthogonal_change_of_basis_changes_only_the_basis(dtype, change, scale):
    """U A U' from U v: the same H and values, and the rows of Q turned by U."""
    matrix, turn = scale * asymmetric(SIZE), changes_of_basis(SIZE)[change]
    starts = random_starts(2, SIZE, dtype)
    run = arnoldi_runs(jnp.asarray(matrix, dtype), starts, max_matvecs=17)[0]
    turned = jnp.asarray(turn @ matrix @ turn.T, dtype)
    turned_starts = jnp.asarray(np.asarray(starts, np.float64) @ turn.T, dtype)
    moved = arnoldi_runs(turned, turned_starts, max_matvecs=17)[0]
    rounding = tolerance(dtype, 2.0, factor=100)  # later coefficients amplify rounding
    np.testing.assert_allclose(moved.hessenberg, run.hessenberg, atol=scale * rounding)
    expected = np.asarray(run.basis, np.float64) @ turn.T
    np.testing.assert_allclose(np.asarray(moved.basis), expected, atol=rounding)
    before, after = (complex_ritz_values(each, departure=0.0) for each in (run, moved))
    width = scale * rounding * np.max(before.conditions)  # what H's rounding does to its values
    assert (distances(after.values, before.values) <= width).all()
    assert (distances(before.values, after.values) <= width).all()


def test_a_multiple_of_the_identity_moves_only_the_diagonal(dtype):
    matrix = asymmetric(SIZE)
    run = runs_of(matrix, dtype, max_matvecs=17)[0]
    moved = runs_of(matrix + 2 * np.eye(SIZE), dtype, max_matvecs=17)[0]
    allowed = tolerance(dtype, 4.0, factor=100)
    np.testing.assert_allclose(moved.hessenberg, run.hessenberg + 2 * np.eye(17), atol=allowed)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_an_invariant_space_ends_the_run(dtype, scale):
    """Rank six: the space is invariant after seven steps, or eight where rounding adds one."""
    for run in runs_of(scale * low_rank(SIZE), dtype, max_matvecs=17):
        assert run.broke_down
        assert run.converged
        assert 7 <= run.active <= 8
        assert run.residual <= tolerance(dtype, float(run.scale), factor=SIZE**0.5)


@pytest.mark.parametrize("multiple", [0.0, -3.0, 1e-8, 1e8])
def test_a_multiple_of_the_identity_breaks_down_after_one_look_beside(dtype, multiple):
    run = runs_of(multiple * np.eye(SIZE), dtype, max_matvecs=17)[0]
    assert run.active == 2
    assert run.broke_down
    np.testing.assert_allclose(run.hessenberg[0, 0], multiple, rtol=tolerance(dtype, 1.0))


@pytest.mark.parametrize("seed", range(4))
def test_a_flat_bulk_hides_nothing(seed):
    """A residual below eps sqrt(d) looks like rounding, and leads to the outlier."""
    size = 40_000
    left, other = np.linalg.qr(np.random.default_rng(100).standard_normal((size, 2)))[0].T
    left, right = np.float32(left), np.float32(0.002 * (left + 0.5 * other))
    operator = linear(lambda v: v + jnp.vdot(right, v) * left, jnp.zeros(size, jnp.float32))
    start = jax.random.normal(jax.random.key(seed), (size,))
    run = jax.jit(lambda x: arnoldi(operator, x, max_matvecs=12, tolerance=1e-4))(start)
    found = complex_ritz_values(run, departure=float(np.linalg.norm(right)))
    assert np.abs(found.values).max() == pytest.approx(1.002, abs=2e-5)


def test_a_cap_beyond_the_size_is_clipped():
    run = runs_of(rotations(SIZE), np.float32, max_matvecs=SIZE + 15)[0]
    assert run.hessenberg.shape == (SIZE, SIZE)
    assert run.active == SIZE
    assert run.broke_down
    assert run.converged


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("values", [[-5.0, 3.0], [2.0, 1.9]])
def test_stops_once_the_value_of_largest_modulus_has_converged(dtype, values, scale):
    """And at the first test of convergence where it had: the host's residuals agree."""
    matrix = scale * with_outliers(values)
    run = runs_of(matrix, dtype, max_matvecs=40, tolerance=1e-3)[0]
    active = int(run.active)
    ritz = complex_ritz_values(run, departure=0.0)
    assert run.converged
    assert not run.broke_down
    assert active < 40
    assert active % 4 == 0
    assert ritz.residuals[0] <= 1e-3 * run.scale
    np.testing.assert_allclose(ritz.values[0], scale * values[0], rtol=5e-3)
    full = runs_of(matrix, dtype, max_matvecs=40)[0]
    earlier = np.asarray(full.hessenberg, np.float64)[: active - 3, : active - 4]
    ritz_values, vectors = np.linalg.eig(earlier[:-1])
    outermost = np.argmax(np.abs(ritz_values))
    assert earlier[-1, -1] * np.abs(vectors[-1, outermost]) > 1e-3 * full.scale


def test_the_shift_says_which_value_is_outermost(dtype):
    """-5 lies farthest from 0, 0.5 farthest from -100: converged is what was asked for."""
    matrix = with_outliers([-5.0, 0.5])
    at_zero = runs_of(matrix, dtype, max_matvecs=40, tolerance=1e-3)[0]
    at_hundred = runs_of(matrix, dtype, max_matvecs=40, tolerance=1e-3, shift=100.0)[0]
    assert at_zero.converged
    assert at_hundred.converged
    assert at_zero.active < at_hundred.active
    for run, near in ((at_zero, -5.0), (at_hundred, 0.5)):
        ritz = complex_ritz_values(run, departure=0.0)
        nearest = np.argmin(np.abs(ritz.values - near))
        assert ritz.residuals[nearest] <= 1e-3 * run.scale
        np.testing.assert_allclose(ritz.values[nearest], near, atol=0.02)
    early = complex_ritz_values(at_zero, departure=0.0)
    rightmost = np.argmax(np.real(early.values))
    assert early.residuals[rightmost] > 1e-3 * at_zero.scale


def test_the_shift_orders_values_that_are_tiny_beside_it(dtype):
    """|1 + nu| rounds to 1 in float32 for every nu here; the run still knows the rightmost."""
    matrix = 1e-9 * with_outliers([-5.0, 0.5])
    run = runs_of(matrix, dtype, max_matvecs=40, tolerance=1e-3, shift=1.0)[0]
    ritz = complex_ritz_values(run, departure=0.0)
    rightmost = np.argmax(np.real(ritz.values))
    assert run.converged
    assert ritz.residuals[rightmost] <= 1e-3 * run.scale
    np.testing.assert_allclose(ritz.values[rightmost], 0.5e-9, rtol=0.04)


def test_the_unused_part_of_h_does_not_pass_for_the_outermost_value(dtype):
    """Every |1 + nu| is below one, where zeros in the unused part of H would lie."""
    matrix = 0.01 * with_outliers([-5.0, 0.5]) - 0.02 * np.eye(80)
    run = runs_of(matrix, dtype, max_matvecs=40, tolerance=1e-3, shift=1.0)[0]
    ritz = complex_ritz_values(run, departure=0.0)
    rightmost = np.argmax(np.real(ritz.values))
    assert run.converged
    assert ritz.residuals[rightmost] <= 1e-3 * run.scale
    np.testing.assert_allclose(ritz.values[rightmost], -0.015, atol=2e-4)


BETA = 0.9


def heavy_ball(curvatures):
    """N of theta' = theta - s', s' = beta s + h theta for every curvature h, in a random basis.

    The memory is in units in which both blocks that couple it are alike.
    """
    size = len(curvatures)
    unit = np.sqrt(BETA / np.max(np.abs(curvatures)))
    basis = np.linalg.qr(np.random.default_rng(3).standard_normal((size, size)))[0]
    hessian = (basis * curvatures) @ basis.T
    memory = np.eye(size)
    return np.block([[-hessian, -BETA / unit * memory], [unit * hessian, (BETA - 1) * memory]])


def excess(curvatures):
    """Spectral radius of I + N minus one, from the roots of z^2 - (1 + beta - h) z + beta."""
    half = (BETA - 1 - np.asarray(curvatures, np.longdouble)) / 2  # of the sum of both nu
    return float(np.max(half + np.sqrt(half**2 - curvatures)))


@pytest.mark.parametrize("scale", [1e-3, 1e-5])
def test_a_small_excess_is_found_in_a_crowd_beside_memory(dtype, scale):
    """A random vector of the crowd has a small residual beside |N|, which memory makes large."""
    curvatures = scale * np.append(np.linspace(-0.01, 0.01, 148), [-1.0, 1.0])
    run = runs_of(heavy_ball(curvatures), dtype, max_matvecs=60, tolerance=1e-3, shift=1.0)[0]
    radius = spectral_radius_minus_one(complex_ritz_values(run, departure=0.0))
    truth = excess(curvatures)
    assert truth > 9 * scale
    assert run.converged
    assert run.active < 60
    np.testing.assert_allclose(radius.minus_one, truth, rtol=0.02)


def test_where_nothing_exceeds_the_shift_the_tolerance_is_what_counts(dtype):
    """No residual is small beside a distance of zero; the run ends, and has converged."""
    curvatures = 1e-3 * np.append(np.zeros(100), np.linspace(0.5, 1, 50))
    run = runs_of(heavy_ball(curvatures), dtype, max_matvecs=20, tolerance=1e-3, shift=1.0)[0]
    radius = spectral_radius_minus_one(complex_ritz_values(run, departure=0.0))
    assert run.converged
    assert abs(radius.minus_one) < 1e-5


@jax.jit
def turning_bad(start, first_bad, bad):
    """A run on a downward shift whose product turns bad once it reaches a coordinate."""

    def matvec(v):  # step k reaches coordinate k
        moved = 2 * v + jnp.roll(v, 1).at[0].set(0)
        return jnp.where(jnp.abs(v[first_bad]) > 1e-3, bad, 1.0) * moved

    operator = linear(matvec, start, rmatvec=matvec)
    return arnoldi(operator, start, max_matvecs=10, tolerance=1e3, check_every=30)


@pytest.mark.parametrize(("first_bad", "bad"), [(0, np.inf), (3, np.nan)])
def test_a_product_that_is_not_finite_ends_the_run_unconverged(dtype, first_bad, bad):
    run = turning_bad(jnp.zeros(SIZE, dtype).at[0].set(1), first_bad, bad)
    ritz = complex_ritz_values(run, departure=1.0)
    assert int(run.active) == first_bad + 1
    assert not bool(run.converged)
    assert not bool(run.broke_down)
    assert not np.isfinite(run.residual)
    assert np.isnan(run.hessenberg[0, first_bad])
    assert np.isnan(ritz.values).all()
    assert not ritz.converged


def test_a_zero_start_vector_gives_nan(dtype):
    for matrix in (np.zeros((SIZE, SIZE)), asymmetric(SIZE)):
        zeros = jnp.zeros((2, SIZE), dtype)
        run = arnoldi_runs(jnp.asarray(matrix, dtype), zeros, max_matvecs=2)[0]
        assert run.active == 1
        assert not run.converged
        assert np.isnan(run.hessenberg[0, 0])


def test_a_rectangular_operator_is_refused():
    operator = linear(lambda v: v[:3], jnp.zeros(5))
    with pytest.raises(ValueError, match="square"):
        arnoldi(operator, jnp.ones(5), max_matvecs=3, tolerance=1e-3)


@pytest.mark.parametrize("length", [1e-30, 1e30])
def test_the_length_of_the_start_vector_does_not_matter(dtype, length):
    matrix = jnp.asarray(asymmetric(SIZE), dtype)
    starts = random_starts(2, SIZE, dtype)
    expected = arnoldi_runs(matrix, starts, max_matvecs=2)[0]
    run = arnoldi_runs(matrix, length * starts, max_matvecs=2)[0]
    np.testing.assert_allclose(run.hessenberg, expected.hessenberg, atol=tolerance(dtype, 2.0))


def test_a_second_call_traces_nothing():
    """Matrix, start, tolerance and shift are arguments: a new step reuses the compiled run."""
    traces = []

    @jax.jit
    def run(matrix, start, tolerance, shift):
        traces.append(None)
        operator = square_operator(matrix)
        return arnoldi(operator, start, max_matvecs=9, tolerance=tolerance, shift=shift)

    matrix = jnp.asarray(asymmetric(12), jnp.float32)
    starts = random_starts(2, 12, np.float32)
    first = run(matrix, starts[0], 1e-3, 0.0)
    second = run(2 * matrix, starts[1], 1e-2, 1.0)
    assert len(traces) == 1
    assert float(first.scale) != float(second.scale)


@functools.partial(jax.jit, static_argnames="over_starts")
def small_runs(matrix, starts, *, over_starts):
    operator = square_operator(matrix)
    run = functools.partial(arnoldi, operator, max_matvecs=16, tolerance=1e-2, check_every=1)
    if over_starts == "vmap":
        return jax.vmap(run)(starts)
    return jax.lax.map(run, starts)


def test_starts_run_by_vmap_equal_starts_run_one_by_one():
    """Also when the runs stop after different numbers of steps."""
    dtype = np.float32
    matrix = with_outliers([-5.0, 3.0])
    values, vectors = np.linalg.eig(matrix)
    starts = random_starts(3, 80, dtype)
    top = np.real(vectors[:, np.argmax(np.abs(values))])
    starts = starts.at[2].set(jnp.asarray(top, dtype))
    rounded = jnp.asarray(matrix, dtype)
    batched = each_run(small_runs(rounded, starts, over_starts="vmap"))
    single = each_run(small_runs(rounded, starts, over_starts="map"))
    assert len({int(run.active) for run in single}) > 1
    assert all(run.converged for run in single)
    for result, expected in zip(batched, single, strict=True):
        assert result.active == expected.active
        assert result.converged == expected.converged
        # Batched products round differently, which later coefficients amplify.
        np.testing.assert_allclose(
            complex_ritz_values(result, departure=0.0).values[0],
            complex_ritz_values(expected, departure=0.0).values[0],
            atol=tolerance(dtype, 5.0, factor=100),
        )
