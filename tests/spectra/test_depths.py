"""The depths that a Krylov method can be asked for, from one to more than there are rows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    arnoldi,
    complex_ritz_values,
    lanczos,
    ritz_values,
)
from tests.oracles.nonnormal import asymmetric, departure_bound, distances, square_operator
from tests.oracles.spectra import matrix_operator, prescribed_matrix, random_starts

SIZE = 7
EIGENVALUES = np.array([-2.0, -0.5, 0.1, 0.3, 1.0, 1.5, 4.0])
DEPTHS = (1, 2, 5, SIZE, SIZE + 1)
ROUNDING = 1e-13
KRYLOV = [lanczos, arnoldi]


@pytest.fixture(scope="module")
def optimised() -> bool:
    """Dozens of programs, for no bound near rounding."""
    return False


@pytest.fixture(autouse=True)
def double_precision(x64):
    return x64


@functools.partial(jax.jit, static_argnames=("method", "make", "depth"))
def run(matrix, start, *, method, make, depth):
    """One run that spends all its products, with its basis."""
    return method(make(matrix), start, max_matvecs=depth, tolerance=0.0, keep_basis=True)


def active_part(decomposition, *names):
    """Arrays of a run without what lies beyond its steps, in NumPy."""
    active = int(decomposition.active)
    return [np.asarray(getattr(decomposition, name))[:active] for name in names]


def assert_zero(array):
    np.testing.assert_allclose(array, 0, atol=ROUNDING)


def assert_orthonormal(basis):
    assert_zero(basis @ basis.T - np.eye(len(basis)))


def assert_ended_rightly(decomposition, depth, size):
    """All products spent, and called converged only where nothing is left."""
    assert int(decomposition.active) == min(depth, size)
    assert bool(decomposition.broke_down) == bool(decomposition.converged) == (depth >= size)


@pytest.mark.parametrize("depth", DEPTHS)
def test_lanczos(depth):
    """A Q' = Q' T + r e', and each value within its error of an eigenvalue."""
    matrix, start = prescribed_matrix(EIGENVALUES), random_starts(1, SIZE, float)[0]
    made = run(jnp.asarray(matrix), start, method=lanczos, make=matrix_operator, depth=depth)
    assert_ended_rightly(made, depth, SIZE)
    basis, alpha, beta = active_part(made, "basis", "alpha", "beta")
    assert_orthonormal(basis)
    tridiagonal = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
    remainder = matrix @ basis.T - basis.T @ tridiagonal
    assert_zero(remainder[:, :-1])
    assert_zero(np.linalg.norm(remainder[:, -1]) - beta[-1])
    ritz = ritz_values(made)
    assert len(ritz.values) == ritz.matvecs == min(depth, SIZE)
    assert (distances(ritz.values, EIGENVALUES) <= ritz.errors).all()


@pytest.mark.parametrize("depth", DEPTHS)
def test_arnoldi(depth):
    """A Q' = Q' H + r e', and each value within its error of an eigenvalue."""
    matrix, start = asymmetric(SIZE), random_starts(1, SIZE, float)[0]
    made = run(jnp.asarray(matrix), start, method=arnoldi, make=square_operator, depth=depth)
    assert_ended_rightly(made, depth, SIZE)
    basis, hessenberg = active_part(made, "basis", "hessenberg")
    hessenberg = hessenberg[:, : len(hessenberg)]
    assert_orthonormal(basis)
    remainder = matrix @ basis.T - basis.T @ hessenberg
    assert_zero(remainder[:, :-1])
    assert_zero(np.linalg.norm(remainder[:, -1]) - made.residual)
    ritz = complex_ritz_values(made, departure=departure_bound(matrix))
    assert len(ritz.values) == ritz.matvecs == min(depth, SIZE)
    assert (distances(ritz.values, np.linalg.eigvals(matrix)) <= ritz.errors).all()


@pytest.mark.parametrize("method", KRYLOV)
@pytest.mark.parametrize("depth", [0, -1])
def test_a_run_without_products_is_refused(method, depth):
    """There is nothing to say about an operator that nobody has looked at."""
    starts = random_starts(2, SIZE, float)
    message = rf"max_matvecs = {depth}: a run needs at least one product"
    with pytest.raises(ValueError, match=message):
        method(
            matrix_operator(jnp.eye(SIZE)),
            starts[0],
            max_matvecs=depth,
            tolerance=0.0,
        )
