"""ARPACK with errors of our own, against known spectra and networks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

from hessdiag.spectra import NonSymmetricOperatorError, eigenpairs, hessian
from tests.oracles.spectra import (
    changes_of_basis,
    dense_hessian,
    mlp_loss,
    mlp_problem,
    prescribed_matrix,
    tolerance,
)

SIZE = 80
SCALES = [1e-30, 1e-8, 1.0, 1e8]


def wanted(truth, num):
    """Those of largest magnitude, ascending."""
    return np.sort(truth[np.argsort(-np.abs(truth))[:num]])


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Of NumPy's products: nothing here is compiled."""
    return np.dtype(request.param)


def run(matrix, *, num=5, max_matvecs=1000, tolerance=1e-5, start=None):
    if start is None:
        start = np.random.default_rng(1).standard_normal(len(matrix)).astype(matrix.dtype)
    return eigenpairs(
        lambda v: matrix @ v,
        start,
        num=num,
        max_matvecs=max_matvecs,
        tolerance=tolerance,
    )


def spread(dtype, scale=1.0):
    """A matrix of 80 distinct eigenvalues in [-2, 1.5], of different magnitude."""
    eigenvalues = np.sort(scale * np.random.default_rng(0).uniform(-2, 1.5, SIZE))
    return prescribed_matrix(eigenvalues).astype(dtype), eigenvalues


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
    assert pairs.orthogonality < tolerance(dtype, 1.0, factor=20)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=tolerance(dtype, 1.0, factor=20))
    assert (np.diff(pairs.values) >= -pairs.rounding).all()


def test_the_wanted_pairs_are_found(dtype):
    """Against the known spectrum, at every scale."""
    for scale in SCALES:
        matrix, truth = spread(dtype, scale)
        pairs = run(matrix)
        assert pairs.converged.all()
        assert (pairs.errors <= 1.01e-5 * 2 * scale + 2 * pairs.rounding).all()
        np.testing.assert_allclose(pairs.values, wanted(truth, 5), atol=2e-5 * scale)
        assert_honest(pairs, matrix, truth, dtype)


def test_the_scale_of_the_operator_does_not_matter(dtype):
    counts = {run(spread(dtype, scale)[0]).matvecs for scale in (2.0**-30, 1.0, 2.0**30)}
    assert len(counts) == 1


@pytest.mark.parametrize("scale", SCALES[1:])
def test_an_orthogonal_change_of_basis_turns_only_the_vectors(dtype, scale):
    """U A U' from U v: the same values, and the vectors turned by U."""
    matrix, _ = spread(dtype, scale)
    turn = changes_of_basis(SIZE)["general"]
    start = np.random.default_rng(1).standard_normal(SIZE).astype(dtype)
    turned = (turn @ np.asarray(matrix, np.float64) @ turn.T).astype(dtype)
    accuracy = 1e-6 if dtype == np.float32 else 1e-12
    found = run(matrix, start=start, tolerance=accuracy)
    moved = run(turned, start=(turn @ start).astype(dtype), tolerance=accuracy)
    assert found.converged.all()
    assert moved.converged.all()
    allowed = tolerance(dtype, 2.0, factor=20)
    np.testing.assert_allclose(moved.values, found.values, rtol=0, atol=scale * allowed)
    overlaps = np.sum(moved.vectors * (found.vectors @ turn.T), axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1, atol=allowed)


@pytest.mark.parametrize("max_matvecs", [0, 30, 40])
def test_a_run_cut_short_is_honest(dtype, max_matvecs):
    """What has converged has its error, what has not is NaN."""
    matrix, truth = spread(dtype)
    pairs = run(matrix, max_matvecs=max_matvecs, tolerance=1e-6)
    exists = int(pairs.converged.sum())
    assert exists < 5
    assert pairs.matvecs <= max(max_matvecs, 20) + 15 + 2 + exists
    assert np.isnan(pairs.values[exists:]).all()
    assert np.isnan(pairs.errors[exists:]).all()
    distances = np.min(np.abs(pairs.values[:exists, None] - truth[None]), axis=1)
    assert (distances <= pairs.errors[:exists]).all()


@pytest.mark.parametrize("copies", [1, 16, SIZE])
@pytest.mark.parametrize("num", [3, 5])
def test_copies_in_invariant_spaces_are_found(copies, num):
    """More pairs than distinct eigenvalues, and all the same."""
    dtype, distinct = np.dtype(np.float32), np.array([-1.0, 1, 3, 4, 5])
    truth = {
        1: np.concatenate([np.zeros(SIZE - 2), [2.0, 5.0]]),
        16: np.repeat(distinct, 16),
        SIZE: np.full(SIZE, 2.0),
    }[copies]
    matrix = np.diag(truth.astype(dtype))
    pairs = run(matrix, num=num)
    assert pairs.converged.all()
    assert_honest(pairs, matrix, np.sort(truth), dtype)
    np.testing.assert_allclose(pairs.values, wanted(truth, num), atol=tolerance(dtype, 5.0))


def test_the_zero_operator(dtype):
    pairs = run(np.zeros((SIZE, SIZE), dtype))
    assert pairs.converged.all()
    np.testing.assert_array_equal(pairs.values, 0)
    np.testing.assert_array_equal(pairs.errors, 0)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(5))


def test_every_product_is_counted_and_few_more_are_spent_than_arpack_asks_for():
    """One for the units, ARPACK's own, one for the error of each pair, and up to 25 to explore."""
    matrix, _ = spread(np.dtype(np.float64))
    start, calls = np.random.default_rng(1).standard_normal(SIZE), []

    def product(v):
        calls.append(None)
        return matrix @ v

    pairs = eigenpairs(product, start, num=5, max_matvecs=1000, tolerance=1e-5)
    assert pairs.matvecs == len(calls)
    calls.clear()
    settings: Any = {"k": 5, "which": "LM", "ncv": 20, "tol": 1e-5, "rng": 0, "v0": start}
    values = eigsh(counted_map(product), **settings)[0]
    assert len(calls) + 1 + 5 < pairs.matvecs <= len(calls) + 1 + 5 + 25
    np.testing.assert_allclose(pairs.values, np.sort(values), atol=1e-9)


def counted_map(product) -> Any:
    """As SciPy wants it."""
    shape: Any = (SIZE, SIZE)
    return LinearOperator(shape, matvec=product, dtype=np.float64)  # pyright: ignore[reportCallIssue]


def test_hessian_of_a_network():
    """A compiled product of JAX, a spectrum with structural zeros."""
    params, inputs, labels = mlp_problem(np.float32, sizes=(3, 4, 2))

    def loss(params):
        return mlp_loss(params, inputs, labels)

    truth = np.linalg.eigvalsh(dense_hessian(loss, params))
    start = jax.random.normal(jax.random.key(0), (len(truth),))
    product = jax.jit(lambda params, v: hessian(loss, params).product(v))
    pairs = eigenpairs(lambda v: product(params, v), start, num=6, max_matvecs=300, tolerance=1e-5)
    assert pairs.converged.all()
    assert (np.abs(pairs.values - wanted(truth, 6)) <= pairs.errors).all()


@pytest.mark.parametrize("asymmetry", [1.0, 1e-2])
def test_refuses_what_is_not_symmetric(dtype, asymmetry):
    matrix, _ = spread(dtype)
    skew = np.random.default_rng(0).standard_normal((SIZE, SIZE)) / np.sqrt(SIZE)
    with pytest.raises(NonSymmetricOperatorError, match="symmetry defect"):
        run((matrix + asymmetry * (skew - skew.T)).astype(dtype), max_matvecs=20)


@pytest.mark.parametrize("num", [0, SIZE])
def test_refuses_numbers_that_do_not_fit(num, dtype):
    with pytest.raises(ValueError, match=f"num = {num} pairs of an operator of size {SIZE}"):
        run(spread(dtype)[0], num=num)


@pytest.mark.parametrize("bad", ["product", "start", "later product"])
def test_what_is_not_finite_ends_the_run(dtype, bad):
    matrix = spread(dtype)[0]
    start = np.zeros(SIZE, dtype) if bad == "start" else None
    calls = []

    def product(v):
        calls.append(None)
        failing = bad == "product" or (bad == "later product" and len(calls) > 3)
        return np.full_like(v, np.nan) if failing else matrix @ v

    if start is None:
        start = np.ones(SIZE, dtype)
    pairs = eigenpairs(product, jnp.asarray(start), num=5, max_matvecs=99, tolerance=1e-5)
    assert pairs.matvecs == (4 if bad == "later product" else 1)
    assert not pairs.converged.any()
    assert np.isnan(pairs.values).all()
    assert np.isnan(pairs.errors).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_of_a_matrix_of_low_rank_are_all_zero(seed):
    """Three of the 44 zeros of a Gram matrix, as the largest of c I - A."""
    factor = np.random.default_rng(seed).standard_normal((20, 64))
    gram = factor.T @ factor
    top = 1.01 * np.linalg.norm(gram, 2)
    pairs = run((top * np.eye(64) - gram).astype(np.float32), num=3)
    assert pairs.converged.all()
    np.testing.assert_allclose(top - pairs.values, 0, atol=tolerance(np.float32, top))


def test_what_the_start_hides_is_found(dtype):
    """A start with nothing of the largest eigenvector, and one in a small invariant space."""
    entries = np.linspace(-1, 1, SIZE).astype(dtype)
    entries[[3, 40]] = 3, -2
    start = np.ones(SIZE, dtype)
    start[3] = 0
    few = np.zeros(SIZE, dtype)
    few[:3] = 1
    for vector in (start, few):
        pairs = run(np.diag(entries), num=2, start=vector)
        np.testing.assert_allclose(pairs.values, [-2, 3], atol=tolerance(dtype, 3.0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num": 2.5}, "num = 2.5; allowed: whole numbers"),
        ({"tolerance": np.nan}, "tolerance = nan; allowed"),
        ({"tolerance": -1.0}, "tolerance = -1.0; allowed"),
        ({"start": np.ones(SIZE, complex)}, "start has shape .* dtype complex128; allowed"),
        ({"start": np.ones((SIZE, 1))}, "start has shape .* allowed"),
    ],
)
def test_refuses_arguments_by_name(change, says):
    with pytest.raises(ValueError, match=says):
        run(spread(np.dtype(np.float64))[0], **change)


def test_refuses_complex_products():
    matrix = 1j * np.eye(SIZE)
    with pytest.raises(ValueError, match=r"product has .* dtype complex128; allowed: .* real"):
        run(matrix, start=np.ones(SIZE))
