"""Non-symmetric matrices whose eigenvalues are known, and Arnoldi runs on them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.spectra import Operator, linear
from hessdiag.spectra.arnoldi import ArnoldiDecomposition, arnoldi
from tests.oracles.spectra import prescribed_matrix


def square_operator(matrix: jax.Array) -> Operator:
    """Any square matrix as an operator, with full-precision products."""

    def matvec(v):
        return jnp.matmul(matrix, v, precision="highest")

    return linear(matvec, matrix[0])


def arnoldi_runs(
    matrix: jax.Array,
    starts: jax.Array,
    *,
    max_matvecs: int,
    tolerance: float = 0.0,
    shift: float = 0.0,
) -> list[ArnoldiDecomposition]:
    """Arnoldi on a matrix from each row of `starts`, bases included."""
    runs = _arnoldi_runs(matrix, starts, tolerance, shift, max_matvecs=max_matvecs)
    return each_run(runs)


@functools.partial(jax.jit, static_argnames="max_matvecs")
def _arnoldi_runs(matrix, starts, tolerance, shift, *, max_matvecs):
    operator = square_operator(matrix)

    def run(start):
        return arnoldi(
            operator,
            start,
            max_matvecs=max_matvecs,
            tolerance=tolerance,
            shift=shift,
            keep_basis=True,
        )

    return jax.lax.map(run, starts)


def each_run(runs: ArnoldiDecomposition) -> list[ArnoldiDecomposition]:
    """The runs of a batch, one by one."""
    host = jax.device_get(runs)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(len(host.active))]


def grcar(size: int) -> np.ndarray:
    """Toeplitz matrix with -1 below and 1 on and three above the diagonal: highly non-normal."""
    return sum((np.eye(size, k=k) for k in range(4)), -np.eye(size, k=-1))


def jordan_block(size: int, eigenvalue: float) -> np.ndarray:
    """One eigenvalue, one eigenvector: the most defective matrix."""
    return eigenvalue * np.eye(size) + np.eye(size, k=1)


def rotations(size: int) -> np.ndarray:
    """Normal, with complex pairs r exp(+-i phi) of different r and phi, in a random basis."""
    radii, angles = np.linspace(0.5, 3, size // 2), np.linspace(0.3, 2.8, size // 2)
    blocks = np.zeros((size, size))
    for i, (r, phi) in enumerate(zip(radii, angles, strict=True)):
        turn = r * np.array([[np.cos(phi), -np.sin(phi)], [np.sin(phi), np.cos(phi)]])
        blocks[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = turn
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    return basis @ blocks @ basis.T


def asymmetric(size: int, seed: int = 0) -> np.ndarray:
    """Random, with eigenvalues in a disc of radius about one."""
    return np.random.default_rng(seed).standard_normal((size, size)) / np.sqrt(size)


def low_rank(size: int) -> np.ndarray:
    """Rank six: the other eigenvalues are exact zeros."""
    left, right = np.random.default_rng(3).standard_normal((2, size, 6))
    return left @ right.T / np.sqrt(size)


def preconditioned(size: int) -> np.ndarray:
    """A positive diagonal times an indefinite symmetric matrix, as Adam makes it: real values."""
    return np.linspace(0.1, 1, size)[:, None] * prescribed_matrix(np.linspace(-1, 4, size))


def badly_scaled(matrix: np.ndarray, decades: float, seed: int = 0) -> np.ndarray:
    """D^{-1} M D, with a diagonal D over 10^-decades .. 10^decades."""
    exponents = np.random.default_rng(seed).uniform(-decades, decades, len(matrix))
    diagonal = np.exp2(np.round(exponents * np.log2(10)))
    return matrix / diagonal[:, None] * diagonal


def departure_bound(matrix: np.ndarray) -> float:
    """Upper bound |A - A'| / sqrt(2) on the Frobenius departure from normality."""
    return float(np.linalg.norm(matrix - matrix.T) / np.sqrt(2))


def zoo(size: int) -> dict[str, np.ndarray]:
    """One matrix of each kind."""
    return {
        "Grcar": grcar(size),
        "Jordan": jordan_block(size, 1.0),
        "nilpotent": jordan_block(size, 0.0),
        "rotations": rotations(size),
        "asymmetric": asymmetric(size),
        "low rank": low_rank(size),
        "preconditioned": preconditioned(size),
        "symmetric": prescribed_matrix(np.linspace(-1, 3, size)),
    }


def true_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """Eigenvalues in float64, those of triangular and symmetric matrices without LAPACK's `eig`."""
    if (matrix == np.triu(matrix)).all():
        return np.diag(matrix)
    if (matrix == matrix.T).all():
        return np.linalg.eigvalsh(matrix)
    return np.linalg.eigvals(matrix)


def distances(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far each value is from the nearest true one."""
    return np.min(np.abs(values[:, None] - truth[None]), axis=1)
