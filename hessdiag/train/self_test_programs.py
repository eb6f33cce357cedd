"""Small programs of the kinds that compilers got wrong, each beside the same thing in NumPy.

jaxlib 0.10.2 computed the last row of vmapped products with a 3×3 matrix wrong where there were
more than 32,768 rows of float32, and crashed on related programs (jax-ml/jax issues 39103, 39257
and 40412). Sizes here are just beyond such limits, and the last row carries the most weight.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ROWS, COLUMNS = 32_769, 3
SEGMENTS, STEPS, BOARD = 101, 20, 24


class Program(NamedTuple):
    """Something to compute, in two ways."""

    name: str  # what it is, for a message
    compute: Callable[..., Any]  # the array, by functions of JAX that can be compiled
    reference: Callable[..., Any]  # the same by NumPy
    operands: tuple[np.ndarray, ...]  # of float64 or integers; `compute` gets float32


def _row_norms(matrix, rows):
    return jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2))(rows)


def _net_loss(params, rows, targets):
    outputs = jax.vmap(lambda row: params[0] @ jnp.tanh(params[1:] @ row))(rows)
    return jnp.mean((outputs - targets) ** 2)


def _net(params, direction, rows, targets):
    gradient = jax.grad(lambda moved: _net_loss(moved, rows, targets))
    return jnp.stack(jax.jvp(gradient, (params,), (direction,)))


def _net_reference(params, direction, rows, targets):
    def gradient(moved):
        hidden = np.tanh(rows @ moved[1:].T)
        errors = 2.0 * (hidden @ moved[0] - targets) / len(rows)
        inner = errors[:, None] * (1.0 - hidden**2) * moved[0]
        return np.vstack([errors @ hidden, inner.T @ rows])

    ahead, behind = (gradient(params + step * direction) for step in (1e-5, -1e-5))
    return np.stack([gradient(params), (ahead - behind) / 2e-5])


def _descent(matrix, rows):
    def step(moved, _):
        moved = moved - jax.grad(lambda at: jnp.mean(_row_norms(at, rows)))(moved)
        return moved, jnp.sum(moved**2)

    return jax.lax.scan(step, matrix, length=3)[1]


def _descent_reference(matrix, rows):
    norms = []
    for _ in range(3):
        matrix = matrix - 2.0 * matrix @ (rows.T @ rows) / len(rows)
        norms.append((matrix**2).sum())
    return np.array(norms)


def _returns(rewards):
    def step(later, reward):
        later = reward + 0.9 * later
        return later, jnp.mean(later)

    return jax.lax.scan(step, jnp.zeros_like(rewards[0]), rewards, reverse=True)[1]


def _returns_reference(rewards):
    powers = 0.9 ** np.maximum(np.arange(STEPS)[None, :] - np.arange(STEPS)[:, None], 0)
    return np.triu(powers) @ rewards.mean(axis=1)


def _pooling(boards):
    windows = (1, 2, 2)

    def pooled(moved):
        return jax.lax.reduce_window(moved, -jnp.inf, jax.lax.max, windows, windows, "VALID")

    return jax.grad(lambda moved: jnp.sum(pooled(moved) ** 2))(boards)


def _pooling_reference(boards):
    number, half = len(boards), BOARD // 2
    highest = boards.reshape(number, half, 2, half, 2).max(axis=(2, 4))
    highest = np.repeat(np.repeat(highest, 2, axis=1), 2, axis=2)
    return np.where(boards == highest, 2.0 * boards, 0.0)


def _programs() -> tuple[Program, ...]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        """Numbers that float32 holds exactly."""
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    matrix, rows = normal(COLUMNS, COLUMNS), normal(ROWS, COLUMNS)
    rows[-1] *= 256.0
    net = (normal(COLUMNS + 1, COLUMNS), normal(COLUMNS + 1, COLUMNS), rows, normal(ROWS))
    labels = np.arange(ROWS) * 7 % SEGMENTS
    boards = normal(ROWS // BOARD**2 + 1, BOARD, BOARD)
    return (
        Program(
            "products by row",
            _row_norms,
            lambda matrix, rows: ((rows @ matrix.T) ** 2).sum(axis=1),
            (matrix, rows),
        ),
        Program("derivatives of a net", _net, _net_reference, net),
        Program("descent in a scan", _descent, _descent_reference, (matrix, rows)),
        Program("sums from the end", _returns, _returns_reference, (normal(STEPS, ROWS),)),
        Program(
            "sums by label",
            lambda values, labels: jax.ops.segment_sum(values, labels, num_segments=SEGMENTS),
            lambda values, labels: np.bincount(labels, weights=values, minlength=SEGMENTS),
            (normal(ROWS), labels),
        ),
        Program("gradient of pooling", _pooling, _pooling_reference, (boards,)),
    )


PROGRAMS = _programs()
