import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    NonSymmetricOperatorError,
    extremes,
    linear,
    ritz_values_per_start,
    symmetric,
)
from hessdiag.spectra.block_lanczos import block_lanczos
from hessdiag.spectra.block_ritz import block_ritz_values
from tests.oracles.spectra import (
    changes_of_basis,
    low_rank_factors,
    matrix_operator,
    matrix_runs,
    prescribed_matrix,
    random_starts,
    tolerance,
)

SIZE = 40
SCALES = [1e-8, 1.0, 1e8]
WIDTHS_AND_DEPTHS = [(1, 20), (3, 2), (3, 20), (3, 60)]
RNG = np.random.default_rng(0)
SPECTRA = {
    "spread": np.linspace(-1, 2, SIZE),
    "copies": np.repeat(np.arange(-3.0, 5.0), 5),
    "low rank": np.concatenate([[-3.0], np.zeros(SIZE - 6), [1, 1, 5, 5, 5]]),
    "clusters": np.concatenate([RNG.random(20), 1 + 1e-5 * RNG.random(20)]),
    "multiple of I": np.full(SIZE, 3.0),
    "zero": np.zeros(SIZE),
    "one far away": np.concatenate([np.linspace(-1, 1, SIZE - 1), [1e6]]),
    "decaying": np.geomspace(1e-12, 1, SIZE),
}
PROBLEMS = [(name, scale) for name in SPECTRA for scale in SCALES]


@functools.partial(jax.jit, static_argnames=("max_matvecs", "vectorised"))
def runs(matrices, starts, *, max_matvecs, tolerance=0.0, vectorised=False):
    """Block Lanczos on each matrix of a stack, each from its own block of starts."""

    def run(matrix, block):
        return block_lanczos(
            matrix_operator(matrix),
            block,
            max_matvecs=max_matvecs,
            tolerance=tolerance,
            vectorised=vectorised,
            keep_basis=True,
        )

    return jax.lax.map(lambda pair: run(*pair), (matrices, starts))


def unstacked(stack):
    host = jax.device_get(stack)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(len(host.active))]


def single(matrix, starts, **settings):
    """One run, padded to the size of `suite`: one compiled function serves both."""
    count = len(PROBLEMS)
    matrices = jnp.broadcast_to(matrix, (count, *matrix.shape))
    return unstacked(runs(matrices, jnp.broadcast_to(starts, (count, *starts.shape)), **settings))[
        0
    ]


def problems(width, dtype):
    matrices = [scale * prescribed_matrix(SPECTRA[name]) for name, scale in PROBLEMS]
    starts = random_starts(len(PROBLEMS) * width, SIZE, dtype)
    return jnp.asarray(np.stack(matrices), dtype), starts.reshape(len(PROBLEMS), width, SIZE)


@functools.cache
def suite(width, depth, dtype):
    """Each problem by its name and scale: matrix, starts and run."""
    matrices, starts = problems(width, dtype)
    results = unstacked(runs(matrices, starts, max_matvecs=depth))
    exact = np.asarray(matrices, np.float64)
    return dict(zip(PROBLEMS, zip(exact, np.asarray(starts), results, strict=True), strict=True))


def assert_honest(ritz, truth, dtype):
    """Each value is within its error of an eigenvalue, and none is listed too often."""
    allowed = tolerance(dtype, np.max(np.abs(truth)))
    distances = np.min(np.abs(ritz.values[:, None] - truth[None]), axis=1)
    assert (distances <= ritz.errors).all()
    assert (np.diff(ritz.values) >= 0).all()
    assert ritz.orthogonality < tolerance(dtype, 1.0)
    np.testing.assert_allclose(np.sum(ritz.weights), 1)
    for value in ritz.values[ritz.errors <= allowed]:
        listed = np.sum(np.abs(ritz.values - value) <= allowed)
        assert listed <= np.sum(np.abs(truth - value) <= 2 * allowed)


@pytest.mark.parametrize(("width", "depth"), WIDTHS_AND_DEPTHS)
def test_every_value_lies_within_its_error(dtype, width, depth):
    """From less than one block to more products than there are dimensions, without ghosts."""
    for matrix, _, run in suite(width, depth, dtype).values():
        ritz = block_ritz_values(run)
        assert ritz.matvecs <= min(depth, SIZE)
        assert_honest(ritz, np.linalg.eigvalsh(matrix), dtype)


@pytest.mark.parametrize(("width", "depth"), WIDTHS_AND_DEPTHS)
def test_defining_identity_and_orthonormality(dtype, width, depth):
    """A Q' - Q' T is what is outside Q and what was dropped; Q spans the starts first."""
    rounding = tolerance(dtype, 1.0)
    for matrix, starts, run in suite(width, depth, dtype).values():
        active, allowed = int(run.active), tolerance(dtype, float(np.linalg.norm(matrix, 2)))
        basis = np.asarray(run.basis, np.float64)[:active]
        projected = np.asarray(run.projected, np.float64)[:active, :active]
        outside = np.asarray(run.outside, np.float64)[:active]
        dropped = np.asarray(run.dropped, np.float64)[:active]
        assert run.projected.dtype == run.basis.dtype == dtype
        np.testing.assert_array_equal(projected, projected.T)
        np.testing.assert_array_equal(run.projected[active:], 0)
        np.testing.assert_array_equal(run.basis[active:], 0)
        defect = np.max(np.abs(basis @ basis.T - np.eye(active)))
        assert defect < rounding
        np.testing.assert_allclose(run.orthogonality, defect, atol=rounding)
        remainder = basis @ matrix - projected @ basis
        lengths = np.linalg.norm(remainder, axis=1)
        np.testing.assert_allclose(
            lengths, np.hypot(np.linalg.norm(outside, axis=1), dropped), atol=2 * allowed
        )
        np.testing.assert_allclose(
            remainder @ remainder.T,
            outside @ outside.T,
            atol=np.max(2 * allowed * (lengths + allowed) + dropped**2),
        )
        np.testing.assert_allclose(remainder @ basis.T, 0, atol=2 * allowed)
        np.testing.assert_allclose(
            run.scale, np.max(np.linalg.norm(basis @ matrix, axis=1)), rtol=rounding
        )
        assert run.asymmetry < rounding
        if active >= width:
            inside = starts @ basis[:width].T @ basis[:width]
            np.testing.assert_allclose(inside, starts, atol=10 * rounding)


@pytest.mark.parametrize("scale", SCALES)
def test_a_block_of_one_is_lanczos(dtype, scale):
    for name in ("spread", "clusters", "decaying"):
        matrix, starts, run = suite(1, 20, dtype)[name, scale]
        lanczos = matrix_runs(jnp.asarray(matrix, dtype), jnp.asarray(starts), max_matvecs=20)
        expected, ritz = ritz_values_per_start(lanczos)[0], block_ritz_values(run)
        settings = {"rtol": 0, "atol": tolerance(dtype, 2 * scale)}
        assert abs(ritz.matvecs - expected.matvecs) <= 1  # a breakdown is a matter of rounding
        np.testing.assert_allclose(np.diag(run.projected)[:5], lanczos.alpha[0, :5], **settings)
        np.testing.assert_allclose(np.diag(run.projected, 1)[:5], lanczos.beta[0, :5], **settings)
        ends = [0, -1]
        np.testing.assert_allclose(ritz.values[ends], expected.values[ends], **settings)


@pytest.mark.parametrize("scale", SCALES)
def test_a_block_reaches_as_far_as_each_of_its_starts_alone(dtype, scale):
    """Twenty products of three starts hold six of each: no end lies inside that of a single run.

    And where block and single runs have converged, their ends are one.
    """
    for name in ("spread", "clusters", "copies", "decaying"):
        matrix, starts, run = suite(3, 20, dtype)[name, scale]
        matrix, starts = jnp.asarray(matrix, dtype), jnp.asarray(starts)
        block = block_ritz_values(run)
        ends = extremes(ritz_values_per_start(matrix_runs(matrix, starts, max_matvecs=6)))
        assert block.values[0] <= ends.lowest + block.rounding
        assert block.values[-1] >= ends.highest - block.rounding
        _, _, deep = suite(3, 60, dtype)[name, scale]
        block = block_ritz_values(deep)
        ends = extremes(ritz_values_per_start(matrix_runs(matrix, starts, max_matvecs=40)))
        assert block.converged
        allowed = tolerance(dtype, 5 * scale)
        assert abs(block.values[0] - ends.lowest) <= allowed
        assert abs(block.values[-1] - ends.highest) <= allowed


def changed(dtype, change, shift=0.0):
    """The runs of the suite, and those on U A U' + c |A| I from U v."""
    matrices, starts = problems(3, dtype)
    norms = np.array([scale * np.max(np.abs(SPECTRA[name])) for name, scale in PROBLEMS])
    turned = change @ np.asarray(matrices, np.float64) @ change.T
    turned = turned + shift * norms[:, None, None] * np.eye(SIZE)
    turned_starts = jnp.asarray(np.asarray(starts, np.float64) @ change.T, dtype)
    moved = unstacked(runs(jnp.asarray(turned, dtype), turned_starts, max_matvecs=20))
    first = [run for _, _, run in suite(3, 20, dtype).values()]
    return list(zip(first, moved, norms, strict=True))


def test_an_orthogonal_change_of_basis_changes_no_value(dtype):
    """U A U' from U v: both ends of each problem, and every value where no row has vanished."""
    whole = 0
    for run, other, norm in changed(dtype, changes_of_basis(SIZE)["general"]):
        whole += assert_same_values(run, other, 0.0, norm, dtype)
    assert whole >= 6


def test_a_multiple_of_the_identity_moves_only_the_values(dtype):
    """The values of A + c I are those of A, and c."""
    whole = 0
    for run, other, norm in changed(dtype, np.eye(SIZE), shift=2.0):
        whole += assert_same_values(run, other, 2 * norm, norm, dtype)
    assert whole >= 6


def assert_same_values(run, other, shift, norm, dtype):
    """To rounding, which later rows amplify; returns whether all values could be compared."""
    first, second = block_ritz_values(run).values + shift, block_ritz_values(other).values
    allowed = tolerance(dtype, norm, factor=100)
    np.testing.assert_allclose(second[[0, -1]], first[[0, -1]], rtol=0, atol=allowed)
    is_whole = run.active == other.active == 20 and not (run.broke_down or other.broke_down)
    if is_whole:
        np.testing.assert_allclose(second, first, rtol=0, atol=allowed)
    return is_whole


@pytest.mark.parametrize("scale", SCALES)
def test_multiplicities_are_found(dtype, scale):
    """Three starts show up to three copies of each, and the run ends with them or finds more."""
    for name in ("copies", "low rank", "multiple of I"):
        _, _, run = suite(3, 60, dtype)[name, scale]
        ritz, truth = block_ritz_values(run), scale * SPECTRA[name]
        assert ritz.converged
        assert run.broke_down
        allowed = tolerance(dtype, np.max(np.abs(truth)))
        assert (ritz.errors <= 4 * allowed).all()
        assert_copies(ritz.values, truth, 3, allowed)


def assert_copies(values, truth, width, allowed):
    """Each eigenvalue is listed once per start if it has so many copies, and may be more often."""
    for value, copies in zip(*np.unique(truth, return_counts=True), strict=True):
        listed = np.sum(np.abs(values - value) <= allowed)
        assert min(width, copies) <= listed <= copies


def test_at_full_depth_the_whole_spectrum_is_found(dtype):
    for name in ("spread", "clusters", "one far away"):
        matrix, _, run = suite(3, 60, dtype)[name, 1.0]
        ritz, truth = block_ritz_values(run), np.linalg.eigvalsh(matrix)
        if ritz.matvecs == SIZE:
            allowed = tolerance(dtype, np.max(np.abs(truth)))
            np.testing.assert_allclose(ritz.values, truth, atol=allowed)
            assert ritz.converged
    assert suite(3, 60, dtype)["spread", 1.0][2].active == SIZE


def test_weights_are_the_mean_measure_of_the_starts(dtype):
    """They integrate polynomials, and at full depth are the overlaps with the eigenvectors."""
    for depth in (20, 60):
        matrix, starts, run = suite(3, depth, dtype)["spread", 1.0]
        ritz = block_ritz_values(run)
        orthonormal = np.linalg.qr(np.asarray(starts, np.float64).T)[0].T
        for power in range(4):
            moment = np.mean([q @ np.linalg.matrix_power(matrix, power) @ q for q in orthonormal])
            allowed = tolerance(dtype, 2.0**power)
            assert abs(np.sum(ritz.weights * ritz.values**power) - moment) < allowed
    overlaps = orthonormal @ np.linalg.eigh(matrix)[1]
    allowed = tolerance(dtype, SIZE)  # of eigenvectors, whose gaps are 1 / 13
    np.testing.assert_allclose(ritz.weights, np.mean(overlaps**2, axis=0), atol=allowed)


def test_starts_that_depend_on_each_other_count_once(dtype):
    matrix, starts, _ = suite(3, 20, dtype)["spread", 1.0]
    matrix, starts = jnp.asarray(matrix, dtype), jnp.asarray(starts)
    dependent = starts.at[1].set(1e-6 * starts[0]).at[2].set(starts[0] - 3 * starts[2])
    run = single(matrix, dependent, max_matvecs=20)
    assert run.starts == 2
    assert run.active == 20
    assert_honest(block_ritz_values(run), SPECTRA["spread"], dtype)
    same = single(matrix, jnp.broadcast_to(starts[0], (3, SIZE)), max_matvecs=20)
    alone = single(matrix, starts[:1], max_matvecs=20)
    assert same.starts == alone.starts == 1
    np.testing.assert_allclose(
        block_ritz_values(same).values[[0, -1]],
        block_ritz_values(alone).values[[0, -1]],
        atol=tolerance(dtype, 2.0),
    )


@pytest.mark.parametrize("scale", SCALES)
def test_starts_in_an_invariant_space_end_the_run(dtype, scale):
    """Three combinations of five eigenvectors: five products, and their five eigenvalues."""
    truth = scale * SPECTRA["spread"]
    exact = np.diag(truth)
    matrix = jnp.asarray(exact, dtype)
    starts = jnp.zeros((3, SIZE), dtype).at[:, 10:15].set(random_starts(3, 5, dtype))
    run = single(matrix, starts, max_matvecs=20)
    ritz = block_ritz_values(run)
    assert run.broke_down
    assert ritz.converged
    assert ritz.matvecs == 5
    np.testing.assert_allclose(ritz.values, truth[10:15], atol=tolerance(dtype, 2 * scale))
    assert_honest(ritz, truth, dtype)


def test_a_vanished_direction_narrows_the_block_and_nothing_else(dtype):
    """One start is an eigenvector: the other two go on, and no product is spent on nothing."""
    matrix = jnp.diag(jnp.asarray(SPECTRA["spread"], dtype))
    starts = random_starts(3, SIZE, dtype).at[1].set(jnp.eye(SIZE, dtype=dtype)[7])
    run = single(matrix, starts, max_matvecs=20)
    assert run.active == 20
    assert run.starts == 3
    assert not run.broke_down
    assert_honest(block_ritz_values(run), SPECTRA["spread"], dtype)
    # A block of two couples row 3 with no row beyond 6.
    np.testing.assert_array_less(np.abs(run.projected[3, 6:]), tolerance(dtype, 2.0))


def test_stops_once_both_ends_have_converged(dtype):
    """At every scale after the same products, and the flag is true to the errors."""
    matrices, starts = problems(3, dtype)
    starts = jnp.broadcast_to(starts[0], starts.shape)
    results = unstacked(runs(matrices, starts, max_matvecs=60, tolerance=1e-3))
    by_problem = dict(zip(PROBLEMS, results, strict=True))
    for run in results:
        ritz = block_ritz_values(run)
        assert ritz.converged
        if not run.broke_down:
            assert np.max(ritz.errors[[0, -1]]) <= 1.01e-3 * run.scale
    counts = {int(by_problem["spread", scale].active) for scale in SCALES}
    assert len(counts) == 1
    assert counts.pop() < SIZE
    cut_short = suite(3, 2, dtype)["spread", 1.0][2]
    assert not cut_short.converged
    assert not cut_short.broke_down


def test_products_at_once_are_the_same():
    dtype = np.dtype(np.float32)
    matrices, starts = problems(3, dtype)
    settings = {"max_matvecs": 20, "tolerance": 1e-2}
    one_by_one = unstacked(runs(matrices, starts, **settings))
    at_once = unstacked(runs(matrices, starts, vectorised=True, **settings))
    for (name, scale), one, other in zip(PROBLEMS, one_by_one, at_once, strict=True):
        norm = scale * np.max(np.abs(SPECTRA[name]))
        np.testing.assert_allclose(
            block_ritz_values(one).values[[0, -1]],
            block_ritz_values(other).values[[0, -1]],
            atol=tolerance(dtype, norm, factor=100),
        )
        assert one.active == other.active or one.broke_down


@pytest.mark.parametrize("vectorised", [False, True])
def test_vmapped_runs_equal_single_ones(vectorised):
    """Also where the runs stop after different numbers of products."""
    dtype = np.dtype(np.float32)
    matrices, starts = problems(3, dtype)
    settings = {"max_matvecs": 20, "tolerance": 1e-2}
    expected = unstacked(runs(matrices, starts, **settings))

    def run(matrix, block):
        return block_lanczos(matrix_operator(matrix), block, vectorised=vectorised, **settings)

    batched = unstacked(jax.jit(jax.vmap(run))(matrices, starts))
    assert len({int(run.active) for run in expected}) > 1
    for (name, scale), one, other in zip(PROBLEMS, batched, expected, strict=True):
        assert one.active == other.active or one.broke_down
        assert one.converged == other.converged
        norm = scale * np.max(np.abs(SPECTRA[name]))
        np.testing.assert_allclose(
            block_ritz_values(one).values[[0, -1]],
            block_ritz_values(other).values[[0, -1]],
            atol=tolerance(dtype, norm, factor=100),
        )


@pytest.mark.parametrize("where", ["product", "start"])
def test_what_is_not_finite_ends_the_run_unconverged(dtype, where):
    starts = random_starts(3, SIZE, dtype)
    matrix = jnp.eye(SIZE, dtype=dtype)
    if where == "product":
        matrix = matrix.at[3, 4].set(jnp.nan)
    else:
        starts = starts.at[1].set(0)
    run = single(matrix, starts, max_matvecs=20)
    ritz = block_ritz_values(run)
    assert ritz.matvecs == 3
    assert not ritz.converged
    assert not run.broke_down
    assert np.isnan(ritz.values).all()
    assert np.isnan(ritz.errors).all()


@pytest.mark.parametrize("size_of_asymmetry", [1.0, 1e-2])
def test_refuses_an_operator_that_is_not_symmetric(dtype, size_of_asymmetry):
    matrix, starts, _ = suite(3, 20, dtype)["spread", 1.0]
    noise = np.random.default_rng(0).standard_normal((SIZE, SIZE))
    skewed = jnp.asarray(matrix + size_of_asymmetry * noise, dtype)
    run = single(skewed, jnp.asarray(starts), max_matvecs=20)
    with pytest.raises(NonSymmetricOperatorError, match="symmetry defect"):
        block_ritz_values(run)


def test_refuses_an_operator_that_is_not_declared_symmetric():
    with pytest.raises(NonSymmetricOperatorError, match="not declared symmetric"):
        block_lanczos(
            linear(lambda v: 2 * v, jnp.ones(5)), jnp.ones((2, 5)), max_matvecs=3, tolerance=0.0
        )


@pytest.mark.parametrize("scale", SCALES)
def test_exact_low_rank_in_many_dimensions(scale):
    """G1 by blocks, rank 12 of 20000: what rounding leaves is neither a value nor an asymmetry."""
    nonzero = scale * np.array([-1, 3, 7, 7, 7, 12, 20, 20, 31, 40, 50, 50])
    factors = jnp.asarray(low_rank_factors(20000, nonzero), np.float32)
    run = low_rank_run(factors, jnp.sign(nonzero), random_starts(2, 20000, np.float32))
    ritz = block_ritz_values(run)
    assert bool(run.broke_down)
    assert ritz.matvecs <= 16
    assert_honest(ritz, np.concatenate([nonzero, np.zeros(20000 - 12)]), np.float32)
    large = ritz.values[np.abs(ritz.values) > 0.5 * scale]
    assert_copies(large, nonzero, 2, tolerance(np.float32, 50 * scale))


@jax.jit
def low_rank_run(factors, signs, starts):
    def matvec(v):
        inner = jnp.matmul(factors.T, v, precision="highest")
        return jnp.matmul(factors, signs.astype(v.dtype) * inner, precision="highest")

    operator = symmetric(matvec, factors[:, 0])
    return block_lanczos(operator, starts, max_matvecs=40, tolerance=0.0)
