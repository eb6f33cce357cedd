"""Products of many factors, norms of products of I + N, and differences.

Their products round far more than eps of their own norm, cancel, or underflow. What they round is
seen by what pairs of Krylov vectors show of it. Where the operator is nearly of rank one there are
hardly any pairs, and a product of the sum of all rows tells it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.spectra import (
    extremes,
    gram,
    gram_minus_identity,
    identity_plus,
    lanczos,
    linear,
    ritz_values_per_start,
    symmetric,
)

SIZE, SEEDS = 100, range(3)
SIZES = (0.05, 0.3, 1.0, 3.0)  # of a factor
times = functools.partial(jnp.matmul, precision="highest")


def chain(factors, *, shifts: bool):
    """F_1 ... F_k, or the product of the I + F_i less I, with its transpose."""

    def along(matrices, *, backwards):
        def change(carry, matrix):
            vector, moved = carry
            if shifts:
                return (vector, moved + times(matrix, vector + moved)), None
            return (vector, times(matrix, moved)), None

        def product(vector):
            begin = jnp.zeros_like(vector) if shifts else vector
            return jax.lax.scan(change, (vector, begin), matrices, reverse=backwards)[0][1]

        return product

    forward = along(factors, backwards=True)
    back = along(jnp.swapaxes(factors, 1, 2), backwards=False)
    return linear(forward, factors[0, 0], rmatvec=back)


KINDS = {
    "product": lambda factors: gram(chain(factors, shifts=False)),
    "shifts": lambda factors: gram_minus_identity(identity_plus(chain(factors, shifts=True))),
    "difference": lambda factors: (
        symmetric(functools.partial(times, factors[0]), factors[0, 0])
        - symmetric(functools.partial(times, factors[1]), factors[0, 0])
    ),
}


@functools.partial(jax.jit, static_argnames="kind")
def runs(factors, starts, *, kind):
    operator = KINDS[kind](factors)
    return jax.lax.map(lambda x: lanczos(operator, x, max_matvecs=50, tolerance=1e-4), starts)


def truth(kind, factors):
    wide = factors.astype(np.float64)
    if kind == "difference":
        return np.linalg.eigvalsh(wide[0] - wide[1])
    identity = np.eye(SIZE) if kind == "shifts" else 0
    product = functools.reduce(np.matmul, identity + wide)
    if kind == "product":
        return np.sort(np.linalg.svd(product, compute_uv=False) ** 2)
    moved = product - np.eye(SIZE)
    return np.linalg.eigvalsh(moved + moved.T + moved.T @ moved)


def drawn(kind, count, size, random):
    """Symmetric factors, every second with a few outliers; of a difference nearly equal ones."""
    factors = []
    for i in range(count):
        basis = np.linalg.qr(random.standard_normal((SIZE, SIZE)))[0]
        values = random.standard_normal(SIZE)
        if i % 2:
            values = np.concatenate([0.05 * values[3:], [3.0, -2.0, 2.5]])
        factors.append((0.1 if kind == "shifts" else 1.0) * size * (basis * values) @ basis.T)
    if kind == "difference":
        noise = random.standard_normal((SIZE, SIZE))
        apart = 10.0 ** -random.integers(0, 6)
        factors[1] = factors[0] + apart * size * (noise + noise.T) / SIZE**0.5
    return np.array(factors, np.float32)


@pytest.mark.parametrize(
    ("kind", "count"),
    [("product", 10), ("product", 50), ("shifts", 10), ("shifts", 50), ("difference", 2)],
)
def test_every_value_is_within_its_error(kind, count):
    missed = []
    for seed in SEEDS:
        for size in SIZES:
            random = np.random.default_rng([seed, count, int(100 * size)])
            factors = drawn(kind, count, size, random)
            starts = random.standard_normal((4, SIZE)).astype(np.float32)
            found = ritz_values_per_start(runs(factors, starts, kind=kind))
            exact = truth(kind, factors)
            for run in found:
                distances = np.abs(run.values[:, None] - exact).min(axis=1)
                missed += [max(distances / run.errors)] * any(distances > run.errors)
            ends = extremes(found)
            if ends.are_last and not missed:
                assert abs(ends.highest - exact[-1]) <= ends.highest_error, (seed, size)
                assert abs(ends.lowest - exact[0]) <= ends.lowest_error, (seed, size)
    assert not missed
