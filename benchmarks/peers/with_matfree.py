"""matfree, on the same JAX products. It has no stopping rule: it is told the depth."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matfree import decomp, eig, stochtrace

from benchmarks.peers.interface import Asked, Found, Measure
from benchmarks.peers.target import Target, random_vector
from hessdiag import spectra


class Peer:
    """`decomp.tridiag_sym` with full reorthogonalisation, under jit."""

    def __init__(self, target: Target, seed: int = 0):
        self.target, self.seed = target, seed
        self._ends, self._pairs, self._measures = _programs(target.operator)

    def extremes(self, asked: Asked) -> Found:
        """Ends of the tridiagonal matrix; no vectors are made."""
        depth = _told(asked)
        start = random_vector(self.target, self.seed)
        values = np.asarray(self._ends(self.target.data, start, depth=depth))
        return Found(values[[0, -1]], depth)

    def resolved_extremes(self, asked: Asked) -> Found:
        """The ends of `eig.eigh_partial`'s pairs: the same values, with vectors."""
        found = self.ritz(_told(asked))
        assert found.vectors is not None
        ends = np.argsort(found.values)[[0, -1]]
        return Found(found.values[ends], found.matvecs, found.vectors[ends])

    def top(self, num: int, asked: Asked) -> Found:
        """The largest of `eig.eigh_partial`'s pairs."""
        depth = _told(asked)
        start = random_vector(self.target, self.seed)
        made = self._pairs(self.target.data, start, depth=depth)
        values, vectors = map(np.asarray, made)
        largest = np.argsort(-np.abs(values))[:num]
        return Found(values[largest], depth, vectors[largest])

    def density(self, probes: int, steps: int) -> Measure:
        """The quadrature behind its `funm`, whose nodes it does not return."""
        starts = jnp.stack([random_vector(self.target, self.seed + i) for i in range(probes)])
        made = self._measures(self.target.data, starts, depth=steps)
        nodes, weights = map(np.asarray, made)
        return Measure(nodes.ravel(), weights.ravel() / probes, probes * steps)

    def ritz(self, depth: int) -> Found:
        """Every value that a user of `eigh_partial` gets."""
        start = random_vector(self.target, self.seed)
        values, vectors = self._pairs(self.target.data, start, depth=depth)
        return Found(np.asarray(values), depth, np.asarray(vectors))

    def trace(self, products: int) -> tuple[float, float]:
        """Hutchinson's estimate with its standard error."""
        matvec = self.target.operator(self.target.data).matvec
        example = jnp.ones(self.target.size, self.target.dtype)
        sampler = stochtrace.sampler_signs(example, num=products)
        estimate = stochtrace.estimator_monte_carlo_mean_and_sem(
            stochtrace.monte_carlo_trace(), sampler
        )
        mean, standard_error = estimate(matvec, jax.random.key(self.seed))
        return float(mean), float(standard_error)


@functools.cache
def _programs(operator: Callable[[Any], spectra.Operator]):
    """Ends, pairs and quadratures, compiled once for all data of one shape."""

    def ends(data, start, *, depth: int):
        matvec = operator(data).matvec
        return jnp.linalg.eigvalsh(decomp.tridiag_sym(depth)(matvec, start).J_small)

    def pairs(data, start, *, depth: int):
        matvec = operator(data).matvec
        return eig.eigh_partial(decomp.tridiag_sym(depth))(matvec, start)

    def quadratures(data, starts, *, depth: int):
        matvec = operator(data).matvec

        def one(start):
            tridiagonal = decomp.tridiag_sym(depth)(matvec, start).J_small
            values, vectors = jnp.linalg.eigh(tridiagonal)
            return values, vectors[0] ** 2

        return jax.lax.map(one, starts)

    return [jax.jit(made, static_argnames="depth") for made in (ends, pairs, quadratures)]


def _told(asked: Asked) -> int:
    if asked.depth is None:
        raise ValueError("matfree has no default depth, and was told none")
    return asked.depth
