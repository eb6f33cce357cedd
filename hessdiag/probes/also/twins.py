"""Twins: unrolls that start a little apart, and how far apart they end.

If small differences grew exponentially, the noise of meta-gradients would be that of chaos. One
twin learns from the trajectories of the unroll itself: what parts it is the derivative of the
updates. The other samples its own, by the same random numbers: a changed action parts it, too.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.inner import InnerState
from hessdiag.meta import Start, sources, streams, unroll
from hessdiag.probes.also.base import OfSamples, Values
from hessdiag.spectra import Space

APART = 0.1  # at first, of the length of the first inner update
TWINS = ("same trajectories", "own trajectories")


class Twins(OfSamples):
    """Two twins of every sample, moved along one random direction of all parameters."""

    what, coords = "the twins", {"twin": list(TWINS)}

    def sample(self, state: Any, key: PRNGKeyArray) -> Any:
        """(2, n): by twin, the distance after i updates over that at first."""
        measured = self.measured
        system, start = measured.system, measured.start(state, key)
        drawn = sources(key, measured.n)
        points = unroll(system, start, drawn)
        moved, length = _moved(start, points.states, streams.twins(key))

        def follow(twin: InnerState, trajectories: Any):
            after = system.update(twin, trajectories, start.eta)
            return after, after.params

        _, same = jax.lax.scan(follow, moved, points.trajectories)
        own = unroll(system, start._replace(inner=moved), drawn).states.params
        own, whole = (jax.tree.map(lambda leaf: leaf[1:], p) for p in (own, points.states.params))
        return jnp.stack([jax.vmap(_distance)(twin, whole) for twin in (same, own)]) / length

    def variables(self, samples: np.ndarray) -> Values:
        """The geometric mean over samples, and its standard error, as logarithms."""
        logs = np.log(np.maximum(samples, np.finfo(samples.dtype).tiny))
        error = logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
        return {"twin_log_distance": logs.mean(axis=0), "twin_log_distance_error": 1.96 * error}


def _moved(start: Start, states: InnerState, key: PRNGKeyArray) -> tuple[InnerState, jax.Array]:
    """x^(0) moved, and how far."""
    params = start.inner.params
    space = Space.like(params)
    first = jax.tree.map(lambda leaf: leaf[1], states.params)
    length = APART * _distance(first, params)
    direction = jax.random.normal(key, (space.size,), space.dtype)
    direction *= length / jnp.linalg.norm(direction)
    theta = space.unravel(space.ravel(params) + direction)
    return start.inner._replace(params=theta), length


def _distance(params: Any, others: Any) -> jax.Array:
    space = Space.like(params)
    return jnp.linalg.norm(space.ravel(params) - space.ravel(others))
