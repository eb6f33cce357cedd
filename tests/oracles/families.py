"""Families of symmetric operators that tools get wrong, each from a seed, with float64 truths.

A family is one program and many data: `build(data)` is traced once for all its cases. The truth is
NumPy in float64, from closed forms or from dense matrices, of the very numbers that the data hold.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.spectra import Operator, symmetric
from tests.oracles import narrow
from tests.oracles.families_of_networks import network_case, network_operator


@dataclasses.dataclass(frozen=True)
class Case:
    """One operator of a family.

    Attributes:
        data: What the family's `build` makes the operator of, float32 or integers.
        truth: All eigenvalues, ascending, float64.
    """

    data: Any
    truth: np.ndarray

    @property
    def size(self) -> int:
        """Rows of the matrix."""
        return len(self.truth)

    @property
    def norm(self) -> float:
        """The largest modulus of an eigenvalue."""
        return float(np.max(np.abs(self.truth)))


@dataclasses.dataclass(frozen=True)
class Family:
    """Operators of one kind.

    Attributes:
        name: Of the kind.
        make: Seed -> case; all cases have data of the same shapes.
        build: Data -> operator, also inside a program.
        is_refusable: Whether to refuse its operators, as not symmetric or as too noisy, is right.
    """

    name: str
    make: Callable[[int], Case]
    build: Callable[[Any], Operator]
    is_refusable: bool = False


def of_entries(entries: jax.Array) -> Operator:
    """A diagonal."""
    return symmetric(lambda v: entries * v, entries)


def of_matrix(matrix: jax.Array) -> Operator:
    """A dense matrix."""
    return symmetric(lambda v: jnp.matmul(matrix, v, precision="highest"), matrix[0])


def _identity_and_one(data) -> Operator:
    scale, size, direction = data
    return symmetric(lambda v: scale * (v + size * direction * (direction @ v)), direction)


def _bag_of_words(data) -> Operator:
    """The Hessian of a mean square over examples that look a few words up."""
    rows, like = data

    def product(v):
        sums = jnp.sum(v[rows], axis=1)
        return jnp.zeros_like(v).at[rows].add(2 / len(rows) * sums[:, None])

    return symmetric(product, like)


def _difference(data) -> Operator:
    first, second = data
    return of_matrix(first) - of_matrix(second)


def _gram(factor: jax.Array) -> Operator:
    product = functools.partial(jnp.matmul, precision="highest")
    return symmetric(lambda v: product(factor.T, product(factor, v)), factor[0])


def _noisy(data) -> Operator:
    """A product that rounds as if by a relative noise that depends on the vector's bits."""
    matrix, noise = data
    scale = jnp.max(jnp.abs(matrix))

    def product(v):
        image = jnp.matmul(matrix, v, precision="highest")
        turns = jnp.sqrt(2) * jnp.sin(1e6 * image / scale + jnp.arange(len(v)))
        return image + noise * jnp.linalg.norm(image) / len(v) ** 0.5 * turns

    return symmetric(product, matrix[0])


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 16])


def _single(numbers) -> np.ndarray:
    return np.asarray(numbers, np.float32)


def _dense(matrix: np.ndarray) -> Case:
    """A matrix, rounded to float32 and exactly symmetric then."""
    data = _single((matrix + matrix.T) / 2)
    return Case(data, np.linalg.eigvalsh(data.astype(np.float64)))


def _turned(eigenvalues: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    basis = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))[0]
    return (basis * eigenvalues) @ basis.T


def _spectrum(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bulk, outliers on both sides, zeros, copies: any of them may be missing."""
    bulk = rng.uniform(0.01, 1) * rng.standard_normal(size) * 10.0 ** rng.uniform(-3, 0)
    bulk[: rng.integers(0, size // 2)] = 0
    count = rng.integers(0, 12)
    bulk[size - count :] = rng.standard_normal(count) * 10.0 ** rng.uniform(-1, 1)
    copies = rng.integers(1, 20)
    bulk[-copies:] = bulk[-1]
    return bulk


def _general(seed: int, size: int = 160) -> Case:
    rng = _random(seed)
    return _dense(10.0 ** rng.uniform(-8, 8) * _turned(_spectrum(rng, size), rng))


def _low_rank(seed: int, size: int = 160) -> Case:
    rng = _random(seed)
    values = np.zeros(size)
    rank = rng.integers(1, 30)
    values[:rank] = rng.standard_normal(rank)
    return _dense(_turned(values, rng))


def _diagonal(seed: int, size: int = 3000) -> Case:
    rng = _random(seed)
    entries = _single(rng.permutation(_spectrum(rng, size)))
    return Case(entries, np.sort(entries.astype(np.float64)))


def _one_beside_copies(seed: int, size: int = 64) -> Case:
    """Ones but for one entry: nearly all of a start lies in one eigenspace."""
    rng = _random(seed)
    entries = np.ones(size, np.float32)
    entries[rng.integers(size)] = rng.uniform(-1, 3)
    return Case(entries, np.sort(entries.astype(np.float64)))


def _flat_bulk(seed: int, size: int = 100_000) -> Case:
    """A multiple of I + s u u' with a unit vector u: a start has almost nothing of u."""
    rng = _random(seed)
    direction = rng.standard_normal(size)
    direction = _single(direction / np.linalg.norm(direction))
    data = _single(10.0 ** rng.uniform(-3, 3)), _single(10.0 ** rng.uniform(-4.5, -1)), direction
    scale, excess = (float(number) for number in data[:2])
    truth = np.full(size, scale)
    truth[-1] = scale * (1 + excess * np.sum(direction.astype(np.float64) ** 2))
    return Case(data, truth)


def _large_diagonal(seed: int, size: int = 200_000) -> Case:
    rng = _random(seed)
    entries = _single(10.0 ** rng.uniform(-6, 0, size) * rng.choice([-0.1, 1], size))
    return Case(entries, np.sort(entries.astype(np.float64)))


def _words(seed: int, size: int = 200_000) -> Case:
    rng = _random(seed)
    rows = rng.integers(0, size, (100, 40))
    matrix = np.zeros((len(rows), size))
    np.add.at(matrix, (np.arange(len(rows))[:, None], rows), 1)
    values = np.linalg.eigvalsh(2 / len(rows) * matrix @ matrix.T)
    truth = np.sort(np.concatenate([np.maximum(values, 0), np.zeros(size - len(rows))]))
    return Case((rows, np.zeros(size, np.float32)), truth)


def _of_difference(seed: int, size: int = 120) -> Case:
    """Two large matrices that nearly cancel."""
    rng = _random(seed)
    large = _dense(_turned(_spectrum(rng, size), rng)).data
    small = 10.0 ** rng.uniform(-5, -1) * np.max(np.abs(large))
    other = _dense(large + small * rng.standard_normal((size, size))).data
    truth = np.linalg.eigvalsh(large.astype(np.float64) - other.astype(np.float64))
    return Case((large, other), truth)


def _of_gram(seed: int, size: int = 64) -> Case:
    rng = _random(seed)
    rank = rng.integers(5, 40)
    factor = np.zeros((40, size), np.float32)
    factor[:rank] = rng.standard_normal((rank, size))
    wide = factor.astype(np.float64)
    return Case(factor, np.linalg.eigvalsh(wide.T @ wide))


def _slightly_skewed(seed: int, size: int = 120) -> Case:
    """Skew between the eigenvectors of two close eigenvalues; the truth is the real parts."""
    rng = _random(seed)
    values = np.linspace(-1, 1, size)
    gap = 10.0 ** rng.uniform(-4, -1)
    values[-2:] = 2 - gap, 2
    middle = np.diag(values)
    skew = gap * 10.0 ** rng.uniform(-2, 0.3)
    middle[-1, -2] += skew
    middle[-2, -1] -= skew
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    data = _single(basis @ middle @ basis.T)
    return Case(data, np.sort(np.linalg.eigvals(data.astype(np.float64)).real))


def _of_noise(seed: int, size: int = 160) -> Case:
    rng = _random(seed)
    case = _dense(_turned(_spectrum(rng, size), rng))
    return Case((case.data, _single(10.0 ** rng.uniform(-7, -1))), case.truth)


def _network(kind: str) -> Family:
    operator = functools.partial(network_operator, kind)
    refusable = kind == "bfloat16"
    return Family(kind, lambda seed: Case(*network_case(kind, seed)), operator, refusable)


FAMILIES = {
    family.name: family
    for family in [
        Family("general", _general, of_matrix),
        Family("low rank", _low_rank, of_matrix),
        Family("diagonal", _diagonal, of_entries),
        Family("one beside copies", _one_beside_copies, of_entries),
        Family("flat bulk", _flat_bulk, _identity_and_one),
        Family("large diagonal", _large_diagonal, of_entries),
        Family("bag of words", _words, _bag_of_words),
        Family("difference", _of_difference, _difference),
        Family("gram", _of_gram, _gram),
        Family("slightly skewed", _slightly_skewed, of_matrix, is_refusable=True),
        Family("noise", _of_noise, _noisy, is_refusable=True),
        Family("bfloat16 products", _low_rank, narrow.of_matrix, is_refusable=True),
        _network("deep tanh"),
        _network("recurrent"),
        _network("bfloat16"),
    ]
}
