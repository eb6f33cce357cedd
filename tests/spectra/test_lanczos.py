import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    extremes,
    hessian,
    lanczos,
    ritz_values,
    ritz_values_per_start,
    symmetric,
)
from hessdiag.spectra.gram_schmidt import split
from hessdiag.spectra.lanczos import end_vector
from tests.oracles.gauntlet import outlier_spectrum
from tests.oracles.spectra import (
    changes_of_basis,
    matrix_operator,
    matrix_runs,
    mlp_loss,
    mlp_problem,
    prescribed_matrix,
    random_starts,
    tolerance,
)


def single(runs):
    """The only run of a batch of one."""
    return jax.tree.map(lambda leaf: leaf[0], runs)


@pytest.mark.parametrize("depth", [17, 40])
@pytest.mark.parametrize("seed", range(3))
def test_defining_identity_and_orthonormality(dtype, depth, seed):
    """A Q' = Q' T + r e' with Q Q' = I, Q r = 0 and |r| = beta, at every depth up to d."""
    eigenvalues = np.random.default_rng(seed).standard_normal(40)
    matrix = prescribed_matrix(eigenvalues, seed)
    starts = random_starts(1, 40, dtype, seed)
    run = single(matrix_runs(jnp.asarray(matrix, dtype), starts, max_matvecs=depth))
    basis = np.asarray(run.basis, np.float64)
    alpha, beta = np.asarray(run.alpha, np.float64), np.asarray(run.beta, np.float64)
    allowed = tolerance(dtype, np.max(np.abs(eigenvalues)))
    rounding = tolerance(dtype, 1.0)

    assert int(run.active) == depth
    assert run.alpha.dtype == run.basis.dtype == dtype
    np.testing.assert_allclose(basis @ basis.T, np.eye(depth), atol=rounding)
    np.testing.assert_allclose(
        basis[0], np.asarray(starts[0]) / np.linalg.norm(starts[0]), atol=rounding
    )
    tridiagonal = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
    remainder = matrix @ basis.T - basis.T @ tridiagonal
    np.testing.assert_allclose(remainder[:, :-1], 0, atol=allowed)
    np.testing.assert_allclose(np.linalg.norm(remainder[:, -1]), beta[-1], atol=allowed)
    np.testing.assert_allclose(basis @ remainder[:, -1], 0, atol=allowed)


def test_reported_orthogonality_and_scale_are_those_of_the_basis(dtype):
    matrix = jnp.asarray(prescribed_matrix(outlier_spectrum()), dtype)
    run = single(matrix_runs(matrix, random_starts(1, 600, dtype), max_matvecs=60))
    basis = np.asarray(run.basis, np.float64)
    defect = np.max(np.abs(basis @ basis.T - np.eye(60)))
    products = np.linalg.norm(np.asarray(matrix, np.float64) @ basis.T, axis=0)
    assert defect < tolerance(dtype, 1.0)
    # Sixty inner products of 600 terms, in the dtype of the basis.
    np.testing.assert_allclose(run.orthogonality, defect, atol=tolerance(dtype, 1.0))
    np.testing.assert_allclose(run.scale, np.max(products), rtol=tolerance(dtype, 1.0))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_stops_early_once_both_ends_have_converged(dtype, scale):
    matrix = jnp.asarray(scale * prescribed_matrix(outlier_spectrum()), dtype)
    run = single(matrix_runs(matrix, random_starts(1, 600, dtype), max_matvecs=60, tolerance=1e-3))
    ritz = ritz_values(run)
    active = int(run.active)
    assert bool(run.converged)
    assert not bool(run.broke_down)
    assert active < 30
    assert active % 4 == 0
    ends = extremes([ritz])
    assert max(ends.lowest_error, ends.highest_error) <= 1.01e-3 * float(run.scale)
    np.testing.assert_array_equal(run.alpha[active:], 0)
    np.testing.assert_array_equal(run.beta[active:], 0)


def test_a_stop_four_steps_earlier_would_not_have_met_the_tolerance(dtype):
    """The in-loop test agrees with the residual bounds that the host computes."""
    matrix = jnp.asarray(prescribed_matrix(outlier_spectrum()), dtype)
    starts = random_starts(1, 600, dtype)
    run = single(matrix_runs(matrix, starts, max_matvecs=60, tolerance=1e-3))
    before = single(matrix_runs(matrix, starts, max_matvecs=int(run.active) - 4))
    ends = extremes([ritz_values(before)])
    assert max(ends.lowest_error, ends.highest_error) > 1e-3 * float(before.scale)


def test_the_cap_is_reported_as_not_converged_unless_it_happens_to_be(dtype):
    """Seven steps: a tolerance met only by the last of them is noticed without a regular check."""
    matrix = jnp.asarray(prescribed_matrix(outlier_spectrum()), dtype)
    starts = random_starts(1, 600, dtype)
    run = single(matrix_runs(matrix, starts, max_matvecs=7, tolerance=1e-6))
    assert int(run.active) == 7
    assert not bool(run.converged)
    ends = extremes([ritz_values(run)])  # errors that reach to where an end may hide
    reached = max(ends.lowest_error, ends.highest_error) / float(run.scale)
    lucky = single(matrix_runs(matrix, starts, max_matvecs=7, tolerance=1.01 * reached))
    unlucky = single(matrix_runs(matrix, starts, max_matvecs=7, tolerance=0.99 * reached))
    assert int(lucky.active) == int(unlucky.active) == 7
    assert bool(lucky.converged)
    assert not bool(unlucky.converged)


@pytest.mark.parametrize("cap", [12, 100])
def test_a_cap_beyond_the_size_gives_the_whole_spectrum(dtype, cap):
    eigenvalues = np.linspace(-2, 5, 12)
    matrix = jnp.asarray(prescribed_matrix(eigenvalues), dtype)
    run = single(matrix_runs(matrix, random_starts(1, 12, dtype), max_matvecs=cap))
    assert run.alpha.shape == (12,)
    assert int(run.active) == 12
    assert bool(run.converged)
    np.testing.assert_allclose(ritz_values(run).values, eigenvalues, atol=tolerance(dtype, 5.0))


@pytest.mark.parametrize("size", [1, 12])
@pytest.mark.parametrize("multiple", [0.0, -3.0, 1e-8, 1e8])
def test_a_multiple_of_the_identity_breaks_down_after_a_few_fresh_vectors(dtype, multiple, size):
    matrix = multiple * jnp.eye(size, dtype=dtype)
    run = single(matrix_runs(matrix, random_starts(1, size, dtype), max_matvecs=12))
    ritz = ritz_values(run)
    assert int(run.active) <= min(size, 4)
    assert bool(run.broke_down)
    assert bool(run.converged)
    allowed = tolerance(dtype, abs(multiple)) + 1e-30
    np.testing.assert_allclose(ritz.values, multiple, rtol=0, atol=allowed)
    ends = extremes([ritz])
    assert abs(ends.highest - multiple) <= ends.highest_error <= 3 * allowed
    assert float(run.orthogonality) < tolerance(dtype, 1.0)


@jax.jit
def runs_beside_the_identity(direction, excess, starts):
    def matvec(v):
        return v + excess * direction * (direction @ v)

    operator = symmetric(matvec, direction)
    return jax.lax.map(lambda v: lanczos(operator, v, max_matvecs=20, tolerance=1e-4), starts)


@pytest.mark.parametrize("excess", [1e-2, 1e-4])
def test_what_a_rounding_residual_hides_is_found(excess):
    """I + s u u' with d = 1e5: the first residual is s / sqrt(d), below eps sqrt(d) for s = .01."""
    dtype = np.dtype(np.float32)
    direction, *starts = random_starts(3, 100_000, dtype)
    direction = direction / jnp.linalg.norm(direction)
    runs = runs_beside_the_identity(direction, dtype.type(excess), jnp.stack(starts))
    ends = extremes(ritz_values_per_start(runs))
    assert abs(ends.highest - (1 + excess)) <= ends.highest_error < 1e-4
    assert abs(ends.lowest - 1) <= ends.lowest_error < 1e-4
    assert ends.converged
    assert ends.matvecs <= 20


@jax.jit
def run_that_turns_bad(start, first_bad, bad):
    """On a shift coupling, whose product turns bad once the Krylov space reaches a coordinate."""

    def matvec(v):  # step k reaches coordinate k
        moved = 2 * v + jnp.roll(v, 1).at[0].set(0) + jnp.roll(v, -1).at[-1].set(0)
        return jnp.where(jnp.abs(v[first_bad]) > 1e-3, bad, 1.0) * moved

    operator = symmetric(matvec, start)
    return lanczos(operator, start, max_matvecs=20, tolerance=1e3, check_every=30)


@pytest.mark.parametrize(("first_bad", "bad"), [(0, np.inf), (3, np.nan)])
def test_a_product_that_is_not_finite_ends_the_run_unconverged(dtype, first_bad, bad):
    start = jnp.zeros(30, dtype).at[0].set(1)
    run = run_that_turns_bad(start, first_bad, dtype.type(bad))
    ritz = ritz_values(run)
    assert int(run.active) == first_bad + 1
    assert not bool(run.converged)
    assert not bool(run.broke_down)
    assert not np.isfinite(run.beta[first_bad])
    assert np.isnan(ritz.values).all()
    assert np.isnan(ritz.errors).all()
    assert not ritz.converged


def test_a_zero_start_vector_gives_nan(dtype):
    for multiple in (0, 2):
        matrix = multiple * jnp.eye(12, dtype=dtype)
        run = single(matrix_runs(matrix, jnp.zeros((1, 12), dtype), max_matvecs=12))
        assert int(run.active) == 1
        assert not bool(run.converged)
        assert np.isnan(run.alpha[0])


@pytest.mark.parametrize("length", [1e-30, 1e30])
def test_the_length_of_the_start_vector_does_not_matter(dtype, length):
    matrix = jnp.asarray(prescribed_matrix(np.linspace(-1, 1, 40)), dtype)
    starts = random_starts(1, 40, dtype)
    expected = single(matrix_runs(matrix, starts, max_matvecs=17)).alpha[:10]
    alpha = single(matrix_runs(matrix, length * starts, max_matvecs=17)).alpha[:10]
    # Early Lanczos coefficients are well conditioned in the start vector.
    np.testing.assert_allclose(alpha, expected, atol=tolerance(dtype, 1.0, factor=100))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("change", ["permutation", "general"])
def test_an_orthogonal_change_of_basis_changes_only_the_basis(dtype, change, scale):
    """U A U' from U v: the same T, values and weights, and the rows of Q turned by U."""
    matrix = scale * prescribed_matrix(np.random.default_rng(0).standard_normal(40))
    turn = changes_of_basis(40)[change]
    starts = random_starts(1, 40, dtype)
    run = single(matrix_runs(jnp.asarray(matrix, dtype), starts, max_matvecs=17))
    turned = jnp.asarray(turn @ matrix @ turn.T, dtype)
    start = jnp.asarray(np.asarray(starts, np.float64) @ turn.T, dtype)
    moved = single(matrix_runs(turned, start, max_matvecs=17))
    rounding = tolerance(dtype, 3.0, factor=100)  # later coefficients amplify rounding
    allowed = scale * rounding
    np.testing.assert_allclose(moved.alpha, run.alpha, atol=allowed)
    np.testing.assert_allclose(moved.beta, run.beta, atol=allowed)
    expected = np.asarray(run.basis, np.float64) @ turn.T
    np.testing.assert_allclose(np.asarray(moved.basis), expected, atol=rounding)
    first, second = ritz_values(run), ritz_values(moved)
    np.testing.assert_allclose(second.values, first.values, rtol=0, atol=allowed)
    np.testing.assert_allclose(second.weights, first.weights, atol=rounding)


def test_a_multiple_of_the_identity_moves_only_the_diagonal(dtype):
    """So that spectra of I - alpha A are had from runs on A."""
    matrix = prescribed_matrix(np.random.default_rng(0).standard_normal(40))
    starts = random_starts(1, 40, dtype)
    run = single(matrix_runs(jnp.asarray(matrix, dtype), starts, max_matvecs=17))
    shifted = jnp.asarray(matrix + 2 * np.eye(40), dtype)
    moved = single(matrix_runs(shifted, starts, max_matvecs=17))
    allowed = tolerance(dtype, 5.0, factor=100)
    np.testing.assert_allclose(moved.alpha, run.alpha + 2, atol=allowed)
    np.testing.assert_allclose(moved.beta, run.beta, atol=allowed)
    np.testing.assert_allclose(np.asarray(moved.basis), run.basis, atol=allowed)


def test_a_second_call_traces_nothing():
    """Parameters, data and start are arguments: a new inner step reuses the compiled run."""
    traces = []
    params, inputs, labels = mlp_problem(np.float32)

    @jax.jit
    def run(params, inputs, labels, start):
        traces.append(None)
        operator = hessian(lambda p: mlp_loss(p, inputs, labels), params)
        return lanczos(operator, start, max_matvecs=20, tolerance=1e-3)

    starts = random_starts(2, 111, np.float32)
    first = run(params, inputs, labels, starts[0])
    second = run(jax.tree.map(lambda leaf: 0.5 * leaf, params), inputs, labels, starts[1])
    assert len(traces) == 1
    assert float(first.scale) != float(second.scale)


def test_batched_starts_equal_a_loop():
    """Also when the runs stop after different numbers of steps."""
    dtype = np.float32
    eigenvalues = np.concatenate([np.linspace(-1, 1, 58), [4.0, 9.0]])
    operator = matrix_operator(jnp.asarray(prescribed_matrix(eigenvalues), dtype))
    run = functools.partial(lanczos, operator, max_matvecs=40, tolerance=1e-2, check_every=1)
    starts = random_starts(4, 60, dtype)
    top = np.linalg.eigh(prescribed_matrix(eigenvalues))[1][:, -1]
    starts = starts.at[3].set(jnp.asarray(top, dtype))
    compiled = jax.jit(run)
    loop = [compiled(start) for start in starts]
    assert len({int(result.active) for result in loop}) > 1
    for batched in (jax.vmap(run)(starts), jax.lax.map(run, starts)):
        for expected, ritz, active, converged in zip(
            loop, ritz_values_per_start(batched), batched.active, batched.converged, strict=True
        ):
            # What an eigenvector as a start does not have grows from rounding.
            same = int(active) == int(expected.active)
            assert same or len(ritz.values) <= 12
            assert bool(converged) == bool(expected.converged)
            # Batched products round differently: later coefficients amplify it, not Ritz values.
            kept = [0, -1] if same else [-1]
            np.testing.assert_allclose(
                ritz.values[kept],
                ritz_values(expected).values[kept],
                atol=tolerance(dtype, 9.0),
            )


def test_a_vector_almost_inside_the_basis_is_orthogonalised_twice(dtype):
    """One pass would leave eps |before| / |after| = 1e4 eps of the basis behind."""
    rows = np.linalg.qr(np.random.default_rng(0).standard_normal((300, 33)))[0].T
    basis = jnp.zeros((32, 300), dtype).at[:20].set(jnp.asarray(rows[:20], dtype))
    vector = jnp.asarray(np.sum(rows[:20], axis=0) + 1e-4 * rows[32], dtype)
    residual, _ = split((basis[:16], basis[16:]), vector, jnp.asarray(20))
    overlaps = basis @ (residual / jnp.linalg.norm(residual))
    np.testing.assert_allclose(overlaps, 0, atol=tolerance(dtype, 1.0))


def test_end_vectors_are_eigenvectors():
    matrix = prescribed_matrix(np.array([-3.0, -1.0, *np.linspace(-0.1, 0.1, 50), 1.0, 2.0]))
    operator = matrix_operator(jnp.asarray(matrix, np.float32))
    start = random_starts(1, len(matrix), np.float32)[0]
    run = lanczos(operator, start, max_matvecs=30, tolerance=1e-4, keep_basis=True)
    assert int(run.active) < 30
    expected = np.linalg.eigh(matrix)[1]
    lowest = np.asarray(end_vector(run, "lowest"), np.float64)
    highest = np.asarray(end_vector(run, "highest"), np.float64)
    assert abs(lowest @ expected[:, 0]) == pytest.approx(1, abs=1e-5)
    assert abs(highest @ expected[:, -1]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tolerance": -1.0}, "tolerance = -1.0; allowed"),
        ({"tolerance": float("nan")}, "tolerance = nan; allowed"),
        ({"max_matvecs": 2.5}, "max_matvecs = 2.5; allowed: whole numbers"),
        ({"ends": "LM"}, "ends = 'LM'; allowed: 'both', 'highest'"),
        ({"start": jnp.ones(5)}, "start has 5 entries; allowed: the operator's 12"),
        ({"start": jnp.ones(12, int)}, "start has shape .* dtype int32; allowed"),
    ],
)
def test_refuses_arguments_by_name(change, says):
    arguments = {"start": jnp.ones(12), "max_matvecs": 3, "tolerance": 0.0} | change
    with pytest.raises(ValueError, match=says):
        lanczos(matrix_operator(jnp.eye(12)), **arguments)


def test_refuses_complex_operators():
    with pytest.raises(ValueError, match="a vector of complex64; allowed: real numbers"):
        symmetric(lambda v: v, 1j * jnp.ones(3))
    turned = symmetric(lambda v: 1j * v, jnp.ones(3))
    with pytest.raises(ValueError, match="a vector of complex64; allowed: real numbers"):
        lanczos(turned, jnp.ones(3), max_matvecs=3, tolerance=0.0)
