import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import NotTransposableError, linear, ritz_values
from hessdiag.spectra.checks import SYMMETRY_LIMIT
from hessdiag.spectra.golub_kahan import golub_kahan
from hessdiag.spectra.krylov import BREAKDOWN
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.singular_values import (
    WrongTransposeError,
    require_transpose,
    singular_values,
)
from hessdiag.spectra.spaces import Space
from tests.oracles.spectra import changes_of_basis, matrix_runs, random_starts, tolerance

SHAPES = [(20, 20), (30, 12), (12, 30)]
SHAPES_AND_DEPTHS = [(shape, depth) for depth in (7, 25) for shape in SHAPES] + [((20, 20), 1)]
SCALES = [1e-8, 1.0, 1e8]
COUNT = 21


def matrix_map(matrix) -> Operator:
    return linear(lambda v: jnp.matmul(matrix, v, precision="highest"), matrix[0])


@functools.partial(jax.jit, static_argnames="max_matvecs")
def runs(matrices, starts, *, max_matvecs, tolerance=0.0):
    """Golub-Kahan on each matrix of a stack, each from its own start."""

    def run(matrix, start):
        return golub_kahan(
            matrix_map(matrix),
            start,
            max_matvecs=max_matvecs,
            tolerance=tolerance,
            keep_basis=True,
        )

    return jax.lax.map(lambda pair: run(*pair), (matrices, starts))


def unstacked(stack):
    host = jax.device_get(stack)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(len(host.alpha))]


def single(matrix, start, **settings):
    """One run, padded to the size of `suite`: there is one compiled function of each depth."""
    stack = jnp.broadcast_to(matrix, (COUNT, *matrix.shape))
    return unstacked(runs(stack, jnp.broadcast_to(start, (COUNT, start.size)), **settings))[0]


def with_singular_values(values, rows, columns, seed=0):
    """A matrix of these singular values, min(rows, columns) of them, and random vectors."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((rows, len(values))))[0]
    right = np.linalg.qr(rng.standard_normal((columns, len(values))))[0]
    return (left * values) @ right.T


def spectra(size):
    """Prescribed singular values: spread, clustered, one far away, rank-deficient, all equal."""
    rng = np.random.default_rng(size)
    half = size // 2
    return [
        np.linspace(0.05, 1, size),
        np.concatenate([1 + 1e-5 * rng.random(half), rng.random(size - half)]),
        np.concatenate([[1e6], np.linspace(0, 1, size - 1)]),
        np.concatenate([np.linspace(1, 2, half), np.zeros(size - half)]),
        np.ones(size),
        np.geomspace(1, 1e-12, size),
        np.zeros(size),
    ]


def truth_of(matrix):
    return np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)


def assert_honest(values, truth, dtype):
    """Each value is within its error of a singular value, and none is listed too often."""
    allowed = tolerance(dtype, np.max(truth))
    distances = np.min(np.abs(values.values[:, None] - truth[None]), axis=1)
    assert (distances <= values.errors).all()
    assert (values.values[:-1] >= values.values[1:]).all()
    assert values.values[0] <= truth[0] + values.rounding
    assert values.orthogonality < tolerance(dtype, 1.0)
    assert np.sum(values.weights) < 1 + 1e-12
    for value in values.values[values.errors <= allowed]:
        listed = np.sum(np.abs(values.values - value) <= allowed)
        assert listed <= np.sum(np.abs(truth - value) <= 2 * allowed)


def suite_problems(shape, dtype):
    """All spectra at all scales, and a start for each."""
    matrices = [
        scale * with_singular_values(values, *shape)
        for values in spectra(min(shape))
        for scale in SCALES
    ]
    assert len(matrices) == COUNT
    return jnp.asarray(np.stack(matrices), dtype), random_starts(COUNT, shape[1], dtype)


@functools.cache
def suite(shape, depth, dtype):
    """The problems, and a run on each."""
    stack, starts = suite_problems(shape, dtype)
    results = unstacked(runs(stack, starts, max_matvecs=depth))
    return list(zip(np.asarray(stack, np.float64), np.asarray(starts), results, strict=True))


def at_depth(run, depth):
    """What the run had after so many steps, not all of its own."""
    if depth == run.active:
        return run
    ended = {"converged": False, "broke_down": False, "is_left_closed": False}
    return run._replace(active=depth, matvecs=depth, rmatvecs=depth, **ended)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_value_lies_within_its_error(dtype, shape):
    """At every depth from one step to the last, with more asked for than there are."""
    for matrix, _, run in suite(shape, 25, dtype):
        truth = truth_of(matrix)
        assert run.active <= min(shape)
        for depth in range(1, run.active + 1):
            values = singular_values(at_depth(run, depth))
            assert values.matvecs == depth
            if truth.any() or shape[0] >= shape[1]:
                assert_honest(values, truth, dtype)
            else:
                assert values.errors.tolist() == [np.inf]  # A v = 0 says nothing of a wide A


@pytest.mark.parametrize("shape", SHAPES)
def test_the_leading_part_of_a_run_is_a_shorter_run(dtype, shape):
    """So that the depths of the test above are those that a caller would see."""
    runs = zip(suite(shape, 7, dtype), suite(shape, 25, dtype), strict=True)
    for (matrix, _, short), (_, _, full) in runs:
        assert short.active == min(7, full.active)
        expected = singular_values(at_depth(full, int(short.active)))
        # Two programs may round differently, which later steps amplify.
        allowed = tolerance(dtype, float(np.max(truth_of(matrix))), factor=100)
        np.testing.assert_allclose(singular_values(short).values, expected.values, atol=allowed)


@pytest.mark.parametrize(("shape", "depth"), SHAPES_AND_DEPTHS)
def test_defining_identities_and_orthonormality(dtype, shape, depth):
    """A V' = U' B and A' U' = V' B' + r e', with V r = 0 and |r| = beta."""
    rounding = tolerance(dtype, 1.0)
    for matrix, start, run in suite(shape, depth, dtype):
        active, rows = int(run.active), int(run.rmatvecs)
        assert run.left.dtype == run.right.dtype == run.alpha.dtype == dtype
        left = np.asarray(run.left, np.float64)[:active]
        right = np.asarray(run.right, np.float64)[:active]
        alpha = np.asarray(run.alpha, np.float64)[:active]
        beta = np.asarray(run.beta, np.float64)[:active]
        bidiagonal = np.diag(alpha) + np.diag(beta[:-1], 1)
        allowed = tolerance(dtype, float(np.linalg.norm(matrix, 2)))

        identities = np.diag((np.arange(active) < rows).astype(float)), np.eye(active)
        defects = [np.max(np.abs(left @ left.T - identities[0]))]
        defects += [np.max(np.abs(right @ right.T - identities[1]))]
        assert np.max(defects) < rounding
        reported = [run.left_orthogonality, run.right_orthogonality]
        np.testing.assert_allclose(reported, defects, atol=rounding)
        np.testing.assert_allclose(right[0], start / np.linalg.norm(start), atol=rounding)
        # Beside rounding of the products, what a breakdown has dropped.
        dropped = BREAKDOWN * max(matrix.shape) ** 0.5 * allowed / 10 if rows < active else 0
        np.testing.assert_allclose(matrix @ right.T, left.T @ bidiagonal, atol=allowed + dropped)
        remainder = (matrix.T @ left.T - right.T @ bidiagonal.T)[:, :rows]
        np.testing.assert_allclose(remainder[:, : active - 1], 0, atol=allowed)
        if rows == active:
            np.testing.assert_allclose(np.linalg.norm(remainder[:, -1]), beta[-1], atol=allowed)
            np.testing.assert_allclose(right @ remainder[:, -1], 0, atol=allowed)
        images = [np.max(np.linalg.norm(right @ matrix.T, axis=1))]
        images += [np.max(np.linalg.norm(left @ matrix, axis=1))]
        np.testing.assert_allclose(run.scale, np.max(images), rtol=rounding)
        assert run.transpose_defect < rounding


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_changes_of_both_bases_change_no_value(dtype, shape):
    """U A V' from V v: the largest of each problem, and all of the spread spectrum."""
    left, right = (changes_of_basis(size)["general"] for size in shape)
    stack, starts = suite_problems(shape, dtype)
    exact = np.asarray(stack, np.float64)
    turned = jnp.asarray(left @ exact @ right.T, dtype)
    turned_starts = jnp.asarray(np.asarray(starts, np.float64) @ right.T, dtype)
    moved = unstacked(runs(turned, turned_starts, max_matvecs=7))
    pairs = list(zip(suite(shape, 7, dtype), moved, strict=True))
    for i, ((matrix, _, run), other) in enumerate(pairs):
        first, second = singular_values(run), singular_values(other)
        # Later coefficients amplify rounding.
        allowed = tolerance(dtype, float(np.max(truth_of(matrix))), factor=100)
        assert abs(first.values[0] - second.values[0]) <= allowed
        if i < len(SCALES):
            np.testing.assert_allclose(second.values, first.values, rtol=0, atol=allowed)
            np.testing.assert_allclose(other.alpha[:5], run.alpha[:5], rtol=0, atol=allowed)
            np.testing.assert_allclose(other.beta[:5], run.beta[:5], rtol=0, atol=allowed)


@pytest.mark.parametrize("shape", SHAPES)
def test_at_full_depth_every_singular_value_is_found(dtype, shape):
    """The spread spectrum: all distinct, at every scale."""
    for scale, (matrix, _, run) in zip(SCALES, suite(shape, 25, dtype)[:3], strict=True):
        found = singular_values(run)
        assert run.alpha.shape == (min(shape),)
        assert found.matvecs == min(shape)
        assert found.converged
        assert found.broke_down
        np.testing.assert_allclose(found.values, truth_of(matrix), atol=tolerance(dtype, scale))
        assert found.rmatvecs == found.matvecs


@functools.partial(jax.jit, static_argnames="max_matvecs")
def product_run(first, second, start, *, max_matvecs):
    operator = matrix_map(second) @ matrix_map(first)
    return golub_kahan(operator, start, max_matvecs=max_matvecs, tolerance=0.0)


def test_products_of_non_normal_matrices(dtype):
    """Jordan-like factors, whose eigenvalues say nothing of the norm of their product."""
    rng = np.random.default_rng(1)
    first = jnp.asarray(0.9 * np.eye(30) + 3 * np.eye(30, k=1), dtype)
    second = jnp.asarray(0.5 * np.eye(30) + np.triu(rng.standard_normal((30, 30)), 1), dtype)
    exact = np.asarray(second, np.float64) @ np.asarray(first, np.float64)
    run = product_run(first, second, random_starts(1, 30, dtype)[0], max_matvecs=12)
    assert_honest(singular_values(run), truth_of(exact), dtype)


def test_squares_are_the_eigenvalues_of_the_gram_matrix(dtype):
    """At full depth, to the digits that forming A'A leaves."""
    matrix, start, run = suite((30, 12), 25, dtype)[1]
    gram = matrix_runs(jnp.asarray(matrix.T @ matrix, dtype), start[None], max_matvecs=12)
    eigen = ritz_values(jax.tree.map(lambda leaf: leaf[0], gram))
    found = singular_values(run)
    np.testing.assert_allclose(found.values[::-1] ** 2, eigen.values, atol=tolerance(dtype, 1.0))
    # One start, one spectral measure: the weights of A'A are those of A.
    np.testing.assert_allclose(found.weights[::-1], eigen.weights, atol=tolerance(dtype, 100.0))


@pytest.mark.usefixtures("x64")
def test_digits_of_small_singular_values_that_the_gram_matrix_loses():
    """Of 1e-12..1: the square root of an eigenvalue of A'A has an error of 1e-8."""
    matrix, _, run = suite((20, 20), 25, np.dtype(float))[16]
    found = singular_values(run)
    np.testing.assert_allclose(found.values, truth_of(matrix)[: found.matvecs], atol=1e-14)
    assert found.matvecs > 15


def test_stops_once_the_largest_has_converged(dtype):
    """At every scale after the same steps, and not four steps too late."""
    stack, starts = suite_problems((20, 20), dtype)
    starts = starts.at[1:3].set(starts[0])
    results = unstacked(runs(stack, starts, max_matvecs=25, tolerance=1e-2))
    for run in results:
        found = singular_values(run)
        assert found.converged
        assert found.matvecs == run.active
        assert found.errors[0] <= 1.01e-2 * run.scale
    active = int(results[0].active)
    assert 4 < active < 18
    assert active % 4 == 0
    for run in results[:3]:
        assert run.active == run.rmatvecs == active
        assert not run.broke_down
        np.testing.assert_array_equal(run.alpha[active:], 0)
        np.testing.assert_array_equal(run.beta[active:], 0)
        before = singular_values(run._replace(active=active - 4))
        assert before.errors[0] > 1e-2 * run.scale


def test_a_run_cut_short_has_not_converged(dtype):
    _, _, run = suite((20, 20), 7, dtype)[0]
    assert singular_values(run).errors[0] > 0
    assert not run.converged
    assert not run.broke_down


@pytest.mark.parametrize("shape", SHAPES)
def test_low_rank_breaks_down_with_every_nonzero_value(dtype, shape):
    for scale, (matrix, _, run) in zip(SCALES, suite(shape, 25, dtype)[9:12], strict=True):
        found, rank = singular_values(run), min(shape) // 2
        assert found.broke_down
        assert found.converged
        assert run.active <= rank + 2
        np.testing.assert_allclose(
            found.values[:rank], truth_of(matrix)[:rank], atol=tolerance(dtype, 2 * scale)
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_null_vectors_of_a_wide_map_are_no_singular_value(dtype, shape):
    """All singular values are one: the start's part in the null space is not listed as a zero."""
    _, _, run = suite(shape, 25, dtype)[13]
    found = singular_values(run)
    np.testing.assert_allclose(found.values, 1.0, atol=tolerance(dtype, 1.0))
    np.testing.assert_array_equal(found.errors, found.rounding)
    assert found.matvecs <= 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_start_that_the_map_sends_to_zero(dtype, shape):
    """It shows a singular value of zero, unless the map is wide and has null vectors anyway."""
    matrix = jnp.zeros(shape, dtype).at[0, 0].set(3)
    start = jnp.zeros(shape[1], dtype).at[2].set(1)
    found = singular_values(single(matrix, start, max_matvecs=7))
    is_wide = shape[0] < shape[1]
    assert (found.matvecs, found.rmatvecs) == (1, 0)
    assert found.values.tolist() == [0]
    assert found.broke_down
    assert found.errors.tolist() == [np.inf if is_wide else 0]
    assert found.converged is not is_wide


@jax.jit
def run_with_transpose(matrix, transposed, start):
    operator = linear(lambda v: matrix @ v, matrix[0], rmatvec=lambda u: transposed @ u)
    return golub_kahan(operator, start, max_matvecs=5, tolerance=0.0)


@pytest.mark.parametrize("wrong", ["not transposed", "scaled", "one entry"])
def test_refuses_a_transpose_that_is_none(dtype, wrong):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((20, 20)), dtype)
    transposes = {
        "not transposed": matrix,
        "scaled": 1.001 * matrix.T,
        "one entry": matrix.T.at[3, 4].add(0.1),
    }
    run = run_with_transpose(matrix, transposes[wrong], random_starts(1, 20, dtype)[0])
    with pytest.raises(WrongTransposeError, match="transpose defect"):
        singular_values(run)


def test_each_side_is_held_against_the_other(dtype):
    """A' u is checked along the last v, and A v along the last u: here one of them is right."""
    matrix = jnp.diag(jnp.arange(1, 21, dtype=dtype))
    start = jnp.zeros(20, dtype).at[0].set(1)
    for transposed, steps in ((matrix.at[1, 0].set(2), 2), (1.001 * matrix, 1)):
        run = run_with_transpose(matrix, transposed, start)
        assert int(run.active) == steps
        with pytest.raises(WrongTransposeError, match="transpose defect"):
            singular_values(run)


def test_only_a_measured_defect_is_refused():
    """Just beyond the limit, and not a number: the second measured nothing."""
    limit = SYMMETRY_LIMIT * float(np.finfo(np.float32).eps)
    with pytest.raises(WrongTransposeError, match="transpose defect"):
        require_transpose(1.01 * limit, np.float32)
    assert require_transpose(0.99 * limit, np.float32) is None
    assert require_transpose(np.nan, np.float32) is None


def test_a_trusted_transpose_puts_its_defect_into_the_errors(dtype):
    """Of 1e-3 of the norm, far above rounding: refused otherwise."""
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((30, 20)), dtype)
    noise = np.random.default_rng(1).standard_normal((20, 30))
    wrong = matrix.T + 1e-3 * np.linalg.norm(matrix, 2) / np.linalg.norm(noise, 2) * noise
    run = run_with_transpose(matrix, jnp.asarray(wrong, dtype), random_starts(1, 20, dtype)[0])
    with pytest.raises(WrongTransposeError, match="transpose defect"):
        singular_values(run)
    made, truth = singular_values(run, trusted=True), np.linalg.norm(np.asarray(matrix), 2)
    assert made.errors[0] >= float(run.transpose_defect) * truth * 0.9
    assert abs(made.values[0] - truth) <= made.errors[0]


def test_refuses_an_operator_without_transpose():
    space = Space.like(jnp.zeros(5))
    operator = Operator(lambda v: 2 * v, None, space, space)
    with pytest.raises(NotTransposableError, match="products of the transpose"):
        golub_kahan(operator, jnp.ones(5), max_matvecs=3, tolerance=0.0)


@pytest.mark.parametrize("side", ["A", "A'", "start"])
def test_what_is_not_finite_ends_the_run_unconverged(dtype, side):
    matrix = jnp.asarray(np.random.default_rng(2).standard_normal((20, 20)), dtype)
    bad = jnp.full_like(matrix, jnp.nan)
    start = jnp.zeros(20, dtype) if side == "start" else random_starts(1, 20, dtype)[0]
    run = run_with_transpose(
        bad if side == "A" else matrix, bad if side == "A'" else matrix.T, start
    )
    found = singular_values(run)
    assert found.matvecs == 1
    assert not found.converged
    assert not found.broke_down
    assert np.isnan(found.values).all()
    assert np.isnan(found.errors).all()


def test_vmapped_runs_equal_single_ones():
    """Also where the runs stop after different numbers of steps."""
    dtype = np.dtype(np.float32)
    stack, starts = suite_problems((20, 20), dtype)
    settings = {"max_matvecs": 25, "tolerance": 1e-2}
    expected = unstacked(runs(stack, starts, **settings))
    batched = jax.jit(
        jax.vmap(lambda matrix, start: golub_kahan(matrix_map(matrix), start, **settings))
    )(stack, starts)
    assert len({int(run.active) for run in expected}) > 1
    for one, other in zip(unstacked(batched), expected, strict=True):
        assert one.active == other.active
        largest = singular_values(one).values[0], singular_values(other).values[0]
        np.testing.assert_allclose(*largest, rtol=tolerance(dtype, 1.0))
