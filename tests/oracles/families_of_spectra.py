"""Random symmetric matrices of kinds of spectra, in float32, with their eigenvalues in float64."""

import functools
from collections.abc import Callable

import numpy as np

from tests.oracles.families import Case

Spectrum = Callable[[np.random.Generator, int], np.ndarray]


def _hidden_outlier(rng, size):
    """A flat bulk, and one eigenvalue a little outside of it."""
    values = 1 + 10.0 ** rng.uniform(-7, -2) * rng.standard_normal(size)
    values[0] += rng.choice([-1, 1]) * 10.0 ** rng.uniform(-2, 0)
    return values


def _clusters(rng, size):
    centres = rng.standard_normal(rng.integers(2, 8))
    spread = 10.0 ** rng.uniform(-8, -1)
    return rng.choice(centres, size) + spread * rng.standard_normal(size)


def _gap(rng, size):
    """Bulks on both sides of an empty interval that may hold zero."""
    left = rng.uniform(0.1, 0.9)
    values = rng.uniform(-1, 1, size) + np.where(rng.uniform(size=size) < left, -1.5, 1.5)
    return values + rng.uniform(-1, 1)


def _exponential(rng, size):
    signs = np.where(rng.uniform(size=size) < rng.choice([0, 0.3]), -1, 1)
    return signs * rng.uniform(0.5, 0.98) ** np.arange(size)


def _power_law(rng, size):
    signs = np.where(rng.uniform(size=size) < rng.choice([0, 0.3]), -1, 1)
    return signs * np.arange(1.0, size + 1) ** -rng.uniform(0.5, 3)


def _indefinite(rng, size):
    return rng.standard_normal(size) + rng.uniform(-1, 1)


def _rank_deficient(rng, size):
    values = np.zeros(size)
    rank = rng.integers(1, size // 2)
    values[:rank] = rng.standard_normal(rank) * 10.0 ** rng.uniform(-2, 0, rank)
    return values


def _scaled(rng, size):
    """Anything, times a tiny or a huge number."""
    return 10.0 ** rng.choice([-20, -10, 10, 20]) * SPECTRA["indefinite"](rng, size)


def _one_negative(rng, size):
    values = rng.uniform(0, 1, size) ** rng.integers(1, 5)
    values[0] = -(10.0 ** rng.uniform(-3, 1))
    return values


def _copies(rng, size):
    """A few distinct eigenvalues, many times each; zero may be one of them."""
    distinct = rng.standard_normal(rng.integers(2, 9))
    distinct[0] *= rng.integers(0, 2)
    return rng.choice(distinct, size)


def _network_like(rng, size):
    """Outliers, a few negatives, zeros, and a bulk that decays towards zero."""
    values = 10.0 ** rng.uniform(-4, -1, size)
    values[: rng.integers(size // 4, size // 2)] = 0
    values[-12:] = 10.0 ** rng.uniform(0, 2, 12)
    values[-17:-12] *= -10
    return values


def _zeros_in_a_bulk(rng, size):
    values = rng.uniform(-1, 1, size)
    values[: rng.integers(size // 8, size // 2)] = 0
    return values


SPECTRA: dict[str, Spectrum] = {
    "hidden outlier": _hidden_outlier,
    "clusters": _clusters,
    "gap": _gap,
    "exponential decay": _exponential,
    "power law": _power_law,
    "indefinite": _indefinite,
    "rank-deficient": _rank_deficient,
    "tiny and huge": _scaled,
    "one negative": _one_negative,
    "copies": _copies,
    "network-like": _network_like,
    "zeros in a bulk": _zeros_in_a_bulk,
}


def case(name: str, seed: int, size: int) -> Case:
    """A matrix of one kind, exactly symmetric in float32."""
    rng = np.random.default_rng([seed, 18, list(SPECTRA).index(name)])
    values = SPECTRA[name](rng, size)
    axis = rng.standard_normal(size)
    basis = _basis(size)
    basis = basis - 2 * np.outer(axis, axis @ basis) / (axis @ axis)
    matrix = (basis * values) @ basis.T
    data = ((matrix + matrix.T) / 2).astype(np.float32)
    return Case(data, np.linalg.eigvalsh(data.astype(np.float64)))


@functools.cache
def _basis(size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(18).standard_normal((size, size)))[0]
