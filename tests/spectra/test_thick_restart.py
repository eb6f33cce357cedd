import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    diagonal,
    hessian,
    linear,
    ritz_values_per_start,
    symmetric,
)
from hessdiag.spectra.ritz_pairs import ritz_pairs
from hessdiag.spectra.thick_restart import Which, eigenpairs, roomy_basis
from tests.oracles.spectra import (
    changes_of_basis,
    dense_hessian,
    matrix_operator,
    matrix_runs,
    mlp_loss,
    mlp_problem,
    prescribed_matrix,
    random_starts,
    tolerance,
)

SIZE = 80
SCALES = [1e-8, 1.0, 1e8]
WANTED = {  # in ascending spectra
    "largest": lambda truth, num: truth[-num:],
    "smallest": lambda truth, num: truth[:num],
    "magnitude": lambda truth, num: np.sort(truth[np.argsort(-np.abs(truth))[:num]]),
    "both ends": lambda truth, num: np.r_[truth[: num // 2], truth[len(truth) - (num + 1) // 2 :]],
}


@functools.partial(jax.jit, static_argnames=("num", "which", "max_basis", "check", "explore"))
def run(
    matrix,
    start,
    *,
    num=5,
    which: Which = "largest",
    max_basis=14,
    max_matvecs=1000,
    tolerance=1e-5,
    check=True,
    explore=False,
):
    return eigenpairs(
        matrix_operator(matrix),
        start,
        num=num,
        which=which,
        max_basis=max_basis,
        max_matvecs=max_matvecs,
        tolerance=tolerance,
        check_residuals=check,
        explore=explore,
    )


@functools.cache
def spread(dtype, scale=1.0):
    """A matrix of 80 distinct eigenvalues in [-2, 1.5], of different magnitude."""
    eigenvalues = np.sort(scale * np.random.default_rng(0).uniform(-2, 1.5, SIZE))
    return jnp.asarray(prescribed_matrix(eigenvalues), dtype), eigenvalues


def assert_honest(pairs, matrix, truth, dtype):
    """Values and vectors belong together and to the matrix, each within its error."""
    exact = np.asarray(matrix, np.float64)
    norm = np.max(np.abs(truth))
    distances = np.min(np.abs(pairs.values[:, None] - truth[None]), axis=1)
    residuals = np.linalg.norm(
        pairs.vectors @ exact - pairs.values[:, None] * pairs.vectors, axis=1
    )
    gram = pairs.vectors @ pairs.vectors.T
    assert (distances <= pairs.errors).all()
    assert (residuals <= pairs.errors + tolerance(dtype, norm)).all()
    assert pairs.orthogonality < tolerance(dtype, 1.0)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=tolerance(dtype, 1.0))
    assert (np.diff(pairs.values) >= -pairs.rounding).all()


@pytest.mark.parametrize("which", ["largest", "both ends"])
def test_the_wanted_pairs_are_found(dtype, which):
    """Against the known spectrum, at every scale, after several restarts."""
    assert_found(which, dtype)


@pytest.mark.parametrize("which", ["smallest", "magnitude"])
def test_other_pairs_are_found(which):
    assert_found(which, np.dtype(np.float32))


def assert_found(which, dtype):
    for scale in SCALES:
        matrix, truth = spread(dtype, scale)
        found = run(matrix, random_starts(1, SIZE, dtype)[0], which=which)
        pairs = ritz_pairs(found)
        assert found.values.dtype == found.vectors.dtype == dtype
        assert int(found.restarts) > 3
        assert pairs.settled
        assert pairs.converged.all()
        assert (pairs.errors <= 1.01e-5 * found.scale + 2 * pairs.rounding).all()
        np.testing.assert_allclose(pairs.values, WANTED[which](truth, 5), atol=2e-5 * scale)
        assert_honest(pairs, matrix, truth, dtype)


def test_the_scale_of_the_operator_does_not_matter(dtype):
    counts = {
        int(run(spread(dtype, scale)[0], random_starts(1, SIZE, dtype)[0]).restarts)
        for scale in (2.0**-30, 1.0, 2.0**30)
    }
    assert len(counts) == 1


@pytest.mark.parametrize("scale", SCALES)
def test_an_orthogonal_change_of_basis_turns_only_the_vectors(dtype, scale):
    """U A U' from U v: the same values after the same products, and the vectors turned by U."""
    matrix, _ = spread(dtype, scale)
    turn = changes_of_basis(SIZE)["general"]
    start = random_starts(1, SIZE, dtype)[0]
    turned = jnp.asarray(turn @ np.asarray(matrix, np.float64) @ turn.T, dtype)
    turned_start = jnp.asarray(turn @ np.asarray(start, np.float64), dtype)
    accuracy = 1e-6 if dtype == np.float32 else 1e-12
    found, moved = (
        run(*at, tolerance=accuracy) for at in ((matrix, start), (turned, turned_start))
    )
    assert int(found.restarts) > 3
    assert found.settled
    assert moved.settled
    allowed = tolerance(dtype, 2.0, factor=20)
    np.testing.assert_allclose(moved.values, found.values, rtol=0, atol=scale * allowed)
    overlaps = np.sum(moved.vectors * (np.asarray(found.vectors, np.float64) @ turn.T), axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1, atol=allowed)


@pytest.mark.parametrize("scale", SCALES)
def test_a_multiple_of_the_identity_moves_only_the_values(dtype, scale):
    """A + c I has the pairs of A, its values moved by c."""
    matrix, truth = spread(dtype, scale)
    start = random_starts(1, SIZE, dtype)[0]
    shifted = matrix + 3 * scale * jnp.eye(SIZE, dtype=dtype)
    accuracy = 1e-6 if dtype == np.float32 else 1e-12
    found, moved = (run(each, start, tolerance=accuracy) for each in (matrix, shifted))
    assert found.settled
    assert moved.settled
    allowed = tolerance(dtype, 4.5)
    np.testing.assert_allclose(moved.values, found.values + 3 * scale, rtol=0, atol=scale * allowed)
    np.testing.assert_allclose(moved.values, truth[-5:] + 3 * scale, rtol=0, atol=scale * allowed)
    overlaps = np.sum(moved.vectors * found.vectors, axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1, atol=4 * allowed)


def test_bounds_agree_with_the_residuals(dtype):
    """Above rounding they are equal: the recurrence holds through all restarts."""
    matrix, _ = spread(dtype)
    found = run(matrix, random_starts(1, SIZE, dtype)[0], tolerance=1e-3)
    assert int(found.restarts) > 2
    assert np.max(found.residuals) > 1e-4
    allowed = tolerance(dtype, 2.0, factor=20)
    np.testing.assert_allclose(found.true_residuals, found.residuals, atol=allowed)


@pytest.mark.parametrize("max_matvecs", [0, 1, 3, 14, 30])
def test_a_run_cut_short_is_honest(dtype, max_matvecs):
    """What there is has its error, what there is not is NaN."""
    matrix, truth = spread(dtype)
    found = run(matrix, random_starts(1, SIZE, dtype)[0], max_matvecs=max_matvecs)
    pairs = ritz_pairs(found)
    exists = min(5, max_matvecs)
    assert pairs.matvecs == max_matvecs + 5
    assert not pairs.settled
    assert not pairs.converged.all()
    assert np.isnan(pairs.values[exists:]).all()
    assert np.isnan(pairs.errors[exists:]).all()
    assert not pairs.converged[exists:].any()
    distances = np.min(np.abs(pairs.values[:exists, None] - truth[None]), axis=1)
    assert (distances <= pairs.errors[:exists]).all()


def test_without_checked_residuals_errors_are_the_bounds():
    dtype = np.dtype(np.float32)
    matrix, truth = spread(dtype)
    start = random_starts(1, SIZE, dtype)[0]
    found, checked = run(matrix, start, check=False), run(matrix, start)
    pairs = ritz_pairs(found)
    assert found.true_residuals is None
    assert int(checked.matvecs) == int(found.matvecs) + 5
    assert_honest(pairs, matrix, truth, dtype)
    np.testing.assert_array_equal(
        pairs.errors, np.maximum(np.asarray(found.residuals, float), pairs.rounding)
    )
    np.testing.assert_allclose(found.values, checked.values, atol=tolerance(dtype, 2.0, factor=20))


def test_first_cycle_is_lanczos():
    """Before a restart the largest Ritz values are those of the tridiagonal matrix."""
    dtype = np.dtype(np.float32)
    matrix, _ = spread(dtype)
    starts = random_starts(1, SIZE, dtype)
    found = run(matrix, starts[0], max_matvecs=12, check=False)
    expected = ritz_values_per_start(matrix_runs(matrix, starts, max_matvecs=12))[0]
    allowed = tolerance(dtype, 2.0)
    np.testing.assert_allclose(found.values, expected.values[-5:], atol=allowed)
    np.testing.assert_allclose(found.residuals, expected.errors[-5:], atol=allowed)


def test_a_basis_of_the_whole_space_gives_the_spectrum():
    dtype = np.dtype(np.float32)
    matrix = jnp.asarray(prescribed_matrix(np.linspace(-2, 5, 12)), dtype)
    found = run(matrix, random_starts(1, 12, dtype)[0], num=12, max_basis=50, tolerance=1e-6)
    pairs = ritz_pairs(found)
    assert pairs.settled
    assert pairs.converged.all()
    assert pairs.matvecs == 24
    assert int(found.restarts) == 0
    np.testing.assert_allclose(pairs.values, np.linspace(-2, 5, 12), atol=tolerance(dtype, 5.0))


def test_an_operator_of_one_entry():
    one = run(jnp.full((1, 1), 3.0), jnp.ones(1), num=1, max_basis=9)
    assert ritz_pairs(one).values.tolist() == [3]
    assert bool(one.settled)


@pytest.mark.parametrize("copies", [1, 16, SIZE])
@pytest.mark.parametrize(("num", "max_basis"), [(5, 14), (3, 8)])
def test_copies_in_invariant_spaces_are_found(copies, num, max_basis):
    """More pairs than distinct eigenvalues, and all the same: fresh vectors find the copies."""
    dtype, distinct = np.dtype(np.float32), np.array([-1.0, 1, 3, 4, 5])
    truth = {
        1: np.concatenate([np.zeros(SIZE - 2), [2.0, 5.0]]),
        16: np.repeat(distinct, 16),
        SIZE: np.full(SIZE, 2.0),
    }[copies]
    matrix = jnp.diag(jnp.asarray(truth, dtype))
    found = run(matrix, random_starts(1, SIZE, dtype)[0], num=num, max_basis=max_basis)
    pairs = ritz_pairs(found)
    assert pairs.settled
    assert pairs.converged.all()
    assert int(found.fresh_starts) > 0
    assert_honest(pairs, matrix, np.sort(truth), dtype)
    np.testing.assert_allclose(pairs.values, np.sort(truth)[-num:], atol=tolerance(dtype, 5.0))


@pytest.mark.parametrize("accuracy", [1e-4, 1e-6])
def test_explore_finds_copies_without_an_invariant_space(dtype, accuracy):
    """Pairs of equal eigenvalues above a spread bulk, which one Krylov space shows once each."""
    truth = np.concatenate([np.linspace(-1, 1, SIZE - 6), np.repeat([2, 3, 4.0], 2)])
    matrix = jnp.asarray(prescribed_matrix(truth), dtype)
    for start in random_starts(3, SIZE, dtype):
        found = run(matrix, start, explore=True, tolerance=accuracy)
        pairs = ritz_pairs(found)
        assert pairs.settled
        assert int(found.fresh_starts) > 0
        np.testing.assert_allclose(pairs.values, truth[-5:], atol=5 * accuracy)
        # A pair has its own bound, and what was dropped when the others were abandoned.
        assert np.max(found.residuals) <= 10 * accuracy * found.scale
        allowed = tolerance(dtype, 4.0, factor=20)
        assert (found.true_residuals <= found.residuals + allowed).all()
        assert_honest(pairs, matrix, truth, dtype)


def test_explore_changes_nothing_where_there_are_no_copies(dtype):
    matrix, truth = spread(dtype)
    found = run(matrix, random_starts(1, SIZE, dtype)[0], explore=True)
    pairs = ritz_pairs(found)
    assert pairs.settled
    assert int(found.fresh_starts) == 1
    np.testing.assert_allclose(pairs.values, truth[-5:], atol=2e-5)
    assert_honest(pairs, matrix, truth, dtype)


def test_the_zero_operator(dtype):
    found = run(jnp.zeros((SIZE, SIZE), dtype), random_starts(1, SIZE, dtype)[0])
    pairs = ritz_pairs(found)
    assert pairs.settled
    assert pairs.converged.all()
    np.testing.assert_array_equal(pairs.values, 0)
    np.testing.assert_array_equal(pairs.errors, 0)


def test_orthogonality_survives_many_restarts():
    """A small basis on a hard spectrum: rotations would lose half an eps each."""
    with jax.enable_x64(False):
        truth = 2 - 2 * np.cos(np.pi * np.arange(1, SIZE + 1) / (SIZE + 1))
        matrix = jnp.asarray(prescribed_matrix(truth), np.float32)
        found = run(matrix, random_starts(1, SIZE, np.float32)[0], max_basis=7, tolerance=1e-6)
        pairs = ritz_pairs(found)
        assert int(found.restarts) > 100
        assert_honest(pairs, matrix, np.sort(truth), np.float32)


def temporary_vectors(rows, max_matvecs, *, num=3, size=20000):
    """Memory of a run beside arguments and results, in vectors."""

    def compute(eigenvalues, start):
        return eigenpairs(
            diagonal(eigenvalues),
            start,
            num=num,
            max_basis=rows,
            max_matvecs=max_matvecs,
            tolerance=0.0,
            check_residuals=False,
        )

    vector = jax.ShapeDtypeStruct((size,), np.float32)
    memory = jax.jit(compute).lower(vector, vector).compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes / (4 * size)


def test_memory_is_that_of_the_basis_however_many_restarts():
    """Two bases and twice what a restart keeps; all products would be thousands of vectors."""
    few, many = (temporary_vectors(20, products) for products in (30, 3000))
    assert many == few
    for num, rows in ((3, 20), (9, 40)):
        kept = num + (rows - num) // 2
        assert rows <= temporary_vectors(rows, 3000, num=num) <= 2 * rows + 2 * kept + 5


def arpack(eigenvalues, start):
    """The six largest by `eigsh`, and the products that it took."""
    calls = []

    class Counted(LinearOperator):
        def _matvec(self, x):
            calls.append(None)
            return eigenvalues * x

    operator = Counted(start.dtype, (start.size, start.size))
    settings: Any = {"ncv": 20, "which": "LA", "tol": 1e-8, "v0": start}
    return eigsh(operator, k=6, **settings)[0], len(calls)


def test_no_more_products_than_arpack():
    """Same start, basis, tolerance and reached accuracy; a few percent either way."""
    with jax.enable_x64(True):
        size, rng = 300, np.random.default_rng(0)
        wigner = rng.standard_normal((size, size))
        spectra = [
            np.linspace(-1, 1, size),
            np.linalg.eigvalsh(wigner + wigner.T) / np.sqrt(8 * size),
            np.geomspace(1e-6, 1, size),
            np.arange(1, size + 1.0) ** -1,
        ]
        ours, theirs = [], []
        for eigenvalues in spectra:
            start = rng.standard_normal(size)
            expected, count = arpack(eigenvalues, start)
            found = spectrum_run(jnp.asarray(eigenvalues), jnp.asarray(start))
            assert bool(found.settled)
            np.testing.assert_allclose(found.values, np.sort(expected), atol=1e-8)
            ours.append(int(found.matvecs))
            theirs.append(count)
        assert np.sum(ours) <= np.sum(theirs)
        assert (np.array(ours) <= 1.1 * np.array(theirs)).all()


@jax.jit
def spectrum_run(eigenvalues, start):
    return eigenpairs(
        diagonal(eigenvalues),
        start,
        num=6,
        max_basis=20,
        max_matvecs=2000,
        tolerance=1e-8,
        check_residuals=False,
    )


def test_hessian_of_a_network():
    dtype = np.dtype(np.float32)
    params, inputs, labels = mlp_problem(dtype, sizes=(3, 4, 2))

    def loss(params):
        return mlp_loss(params, inputs, labels)

    truth = np.linalg.eigvalsh(dense_hessian(loss, params))
    start = random_starts(1, len(truth), dtype)[0]

    @jax.jit
    def network_run(params, start):
        return eigenpairs(
            hessian(loss, params), start, num=6, which="both ends", max_matvecs=300, tolerance=1e-5
        )

    pairs = ritz_pairs(network_run(params, start))
    assert pairs.settled
    expected = WANTED["both ends"](truth, 6)
    assert (np.abs(pairs.values - expected) <= pairs.errors).all()


def test_refuses_what_is_not_symmetric():
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((SIZE, SIZE)), np.float32)
    with pytest.raises(NonSymmetricOperatorError, match="not declared symmetric"):
        eigenpairs(
            linear(lambda v: matrix @ v, matrix[0]),
            matrix[0],
            num=2,
            max_matvecs=10,
            tolerance=1e-3,
        )
    found = run(matrix, random_starts(1, SIZE, np.float32)[0], max_matvecs=10)
    with pytest.raises(NonSymmetricOperatorError, match="symmetry defect"):
        ritz_pairs(found)


def test_a_symmetric_operator_leaves_only_rounding(dtype):
    found = run(spread(dtype)[0], random_starts(1, SIZE, dtype)[0])
    assert found.asymmetry < tolerance(dtype, 1.0)


@pytest.mark.parametrize(
    ("num", "max_basis", "match"),
    [(0, 5, "num = 0"), (21, 30, "num = 21"), (6, 6, "max_basis = 6 must exceed")],
)
def test_refuses_numbers_that_do_not_fit(num, max_basis, match):
    operator = diagonal(jnp.ones(20))
    with pytest.raises(ValueError, match=match):
        eigenpairs(
            operator, jnp.ones(20), num=num, max_basis=max_basis, max_matvecs=9, tolerance=1e-3
        )


@pytest.mark.parametrize("bad", ["product", "start"])
def test_what_is_not_finite_ends_the_run(dtype, bad):
    matrix = spread(dtype)[0]
    start = jnp.zeros(SIZE, dtype) if bad == "start" else random_starts(1, SIZE, dtype)[0]
    matrix = jnp.full_like(matrix, jnp.nan) if bad == "product" else matrix
    pairs = ritz_pairs(run(matrix, start))
    assert pairs.matvecs == 1 + 5
    assert not pairs.settled
    assert not pairs.converged.any()
    assert np.isnan(pairs.values).all()
    assert np.isnan(pairs.errors).all()


def test_vmapped_runs_equal_single_ones():
    """Also where they stop after different numbers of products."""
    with jax.enable_x64(True):
        matrix, truth = spread(np.dtype(float))
        starts = random_starts(3, SIZE, float)
        top = np.linalg.eigh(np.asarray(matrix))[1][:, -5:]
        starts = starts.at[2].set(jnp.asarray(top @ np.arange(1.0, 6.0)))
        batched = jax.vmap(lambda start: run(matrix, start))(starts)
        assert len({int(count) for count in batched.matvecs}) > 1
        for i, start in enumerate(starts):
            expected = run(matrix, start)
            assert int(batched.matvecs[i]) == int(expected.matvecs)
            np.testing.assert_allclose(batched.values[i], expected.values, atol=1e-9)
            np.testing.assert_allclose(batched.values[i], truth[-5:], atol=1e-5)


def test_a_second_call_traces_nothing():
    traces = []

    @jax.jit
    def traced(eigenvalues, start):
        traces.append(None)
        operator = symmetric(lambda v: eigenvalues * v, start)
        return eigenpairs(operator, start, num=2, max_matvecs=50, tolerance=1e-3)

    starts = random_starts(2, 30, np.float32)
    first = traced(jnp.linspace(0, 1, 30), starts[0])
    second = traced(jnp.linspace(0, 2, 30), starts[1])
    assert len(traces) == 1
    assert float(second.scale) > 1.5 * float(first.scale)


@pytest.mark.parametrize(
    ("size", "num", "rows"),
    [(24_895, 20, 128), (24_895, 1, 20), (400_000, 20, 41), (10**7, 20, 41), (30, 10, 30)],
)
def test_a_roomy_basis_fits_into_its_room(size, num, rows):
    operator = symmetric(lambda v: v, jax.ShapeDtypeStruct((size,), jnp.float32))
    assert roomy_basis(operator, num) == rows
