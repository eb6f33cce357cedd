"""Matrices whose spectrum is known, and a network whose Hessian is small enough to be formed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import LanczosDecomposition, Operator, lanczos, symmetric


@functools.cache
def _orthogonal(size: int, columns: int, seed: int) -> np.ndarray:
    gaussian = np.random.default_rng(seed).standard_normal((size, columns))
    return np.linalg.qr(gaussian)[0]


def prescribed_matrix(eigenvalues: np.ndarray, seed: int = 0) -> np.ndarray:
    """Symmetric matrix with these eigenvalues and random eigenvectors, float64."""
    basis = _orthogonal(len(eigenvalues), len(eigenvalues), seed)
    matrix = (basis * eigenvalues) @ basis.T
    return (matrix + matrix.T) / 2


def changes_of_basis(size: int) -> dict[str, np.ndarray]:
    """Orthogonal matrices: a permutation, under which no number rounds, and a general one."""
    order = np.random.default_rng(1).permutation(size)
    return {"permutation": np.eye(size)[order], "general": _orthogonal(size, size, 5)}


def low_rank_factors(size: int, eigenvalues: np.ndarray, seed: int = 0) -> np.ndarray:
    """Columns c with A = c diag(sign) c' of these nonzero eigenvalues; the rest are exact zeros."""
    return _orthogonal(size, len(eigenvalues), seed) * np.sqrt(np.abs(eigenvalues))


def matrix_operator(matrix: jax.Array) -> Operator:
    """A matrix as an operator, with full-precision products."""

    def matvec(v):
        return jnp.matmul(matrix, v, precision="highest")

    return symmetric(matvec, matrix[0])


@functools.partial(jax.jit, static_argnames="max_matvecs")
def matrix_runs(
    matrix: jax.Array,
    starts: jax.Array,
    *,
    max_matvecs: int,
    tolerance: float = 0.0,
) -> LanczosDecomposition:
    """Lanczos on a matrix from each row of `starts`; the results, bases included, are stacked."""
    operator = matrix_operator(matrix)

    def run(start):
        return lanczos(
            operator, start, max_matvecs=max_matvecs, tolerance=tolerance, keep_basis=True
        )

    return jax.lax.map(run, starts)


def random_starts(count: int, size: int, dtype, seed: int = 0) -> jax.Array:
    """Gaussian start vectors, one a row."""
    return jax.random.normal(jax.random.key(seed), (count, size), dtype)


def tolerance(dtype, norm: float, *, factor: float = 10.0) -> float:
    """c eps |A|: what rounding may do to an eigenvalue."""
    return factor * float(np.finfo(dtype).eps) * norm


def mlp_params(key: jax.Array, sizes: tuple[int, ...], dtype) -> list[dict[str, jax.Array]]:
    """Weights and biases of a small network."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {
            "weight": jax.random.normal(k, (m, n), dtype) / np.sqrt(m).astype(dtype),
            "bias": jnp.zeros(n, dtype),
        }
        for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def mlp_loss(params: list[dict[str, jax.Array]], inputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of a tanh network, with the softmax gauge: structural zeros."""
    hidden = inputs
    for layer in params[:-1]:
        hidden = jnp.tanh(hidden @ layer["weight"] + layer["bias"][None])
    logits = hidden @ params[-1]["weight"] + params[-1]["bias"][None]
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(chosen)


def mlp_problem(dtype, sizes: tuple[int, ...] = (5, 12, 3), batch: int = 20):
    """Parameters, inputs and labels of a classification problem."""
    key_params, key_inputs, key_labels = jax.random.split(jax.random.key(7), 3)
    params = mlp_params(key_params, sizes, dtype)
    inputs = jax.random.normal(key_inputs, (batch, sizes[0]), dtype)
    return params, inputs, jax.random.randint(key_labels, (batch,), 0, sizes[-1])


def dense_hessian(loss, params) -> np.ndarray:
    """Hessian by `jax.hessian`, rows and columns in the order of `ravel_pytree`."""
    flat, unravel = ravel_pytree(params)
    return np.asarray(jax.jit(jax.hessian(lambda x: loss(unravel(x))))(flat), np.float64)
