"""Twins: unrolls that start a little apart, and how far apart they end.

If small differences grew exponentially, the noise of meta-gradients would be that of chaos. One
twin learns from the trajectories of the unroll itself: what parts it is the derivative of the
updates. The other samples its own, by the same random numbers: a changed action parts it, too.

The first update may part them by a jump that does not shrink with the move: where a ReLU is at its
kink, as with biases that are still zero, and more under Adam, which makes a whole step of the first
gradient that a woken parameter has. So a tenth of an update was chosen, where such jumps are small
on Snake and rounding smaller, but differences are not yet as large as they can get.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from hessdiag.inner import InnerState
from hessdiag.meta import Start, sources, streams, unroll
from hessdiag.probes.also.base import OfSamples, Values
from hessdiag.spectra import Space
from hessdiag.spectra.intervals import student

APART = 0.1  # at first, of the length of the first inner update
EXACT = 0.1  # rounding may change the move by this share of its length, and no more
TWINS = ("same trajectories", "own trajectories")


class Twins(OfSamples):
    """Two twins of every sample, moved along one random direction of all parameters."""

    what, coords = "the twins", {"twin": list(TWINS)}

    def sample(
        self, state: Any, key: PRNGKeyArray
    ) -> tuple[Bool[Array, ""], Float[Array, "twin n"]]:
        """Whether the twins are apart at first; by twin, the distance after i updates over that.

        They are not where the first update has no length, or one that is lost in rounding, as late
        under a learning rate that anneals to zero. The distances are NaN then. Infinite or NaN are
        those of a twin that diverges, too, of which a probe should tell, not die.
        """
        measured = self.measured
        system, start = measured.system, measured.start(state, key)
        drawn = sources(key, measured.n)
        points = unroll(system, start, drawn)
        moved, length, is_apart = _moved(start, points.states, streams.twins(key))

        def follow(twin: InnerState, trajectories: Any):
            after = system.update(twin, trajectories, start.eta)
            return after, after.params

        _, same = jax.lax.scan(follow, moved, points.trajectories)
        own = unroll(system, start._replace(inner=moved), drawn).states.params
        own, whole = (jax.tree.map(lambda leaf: leaf[1:], p) for p in (own, points.states.params))
        distances = jnp.stack([jax.vmap(_distance)(twin, whole) for twin in (same, own)])
        return is_apart, jnp.where(is_apart, distances / length, jnp.nan)

    def variables(self, samples: tuple[np.ndarray, np.ndarray]) -> Values:
        """The geometric mean over the samples that were apart, as logarithm, and its half-width.

        NaN where none was, and at horizons where some twin diverged.
        """
        is_apart, distances = samples
        known = distances[is_apart.astype(bool)]
        count, blank = len(known), np.full(distances.shape[1:], np.nan)
        if not count:
            return {"twin_log_distance": blank, "twin_log_distance_error": blank, "twin_samples": 0}
        known = np.where(np.isfinite(known), known, np.nan)
        logs = np.log(np.maximum(known, np.finfo(known.dtype).tiny))
        error = blank
        if count > 1:
            error = student(logs.std(axis=0, ddof=1) / np.sqrt(count), count - 1)
        return {
            "twin_log_distance": logs.mean(axis=0),
            "twin_log_distance_error": error,
            "twin_samples": count,
        }


def _moved(
    start: Start, states: InnerState, key: PRNGKeyArray
) -> tuple[InnerState, Float[Array, ""], Bool[Array, ""]]:
    """x^(0) moved, how far to rounding, and whether that is about as far as it should be."""
    space = Space.like(start.inner.params)
    theta = space.ravel(start.inner.params)
    first = space.ravel(jax.tree.map(lambda leaf: leaf[1], states.params))
    wanted = APART * jnp.linalg.norm(first - theta)
    direction = jax.random.normal(key, (space.size,), space.dtype)
    direction *= wanted / jnp.linalg.norm(direction)
    moved = theta + direction
    move = moved - theta  # what rounding leaves of the direction
    is_apart = jnp.linalg.norm(move - direction) <= EXACT * wanted
    inner = start.inner._replace(params=space.unravel(moved))
    return inner, jnp.linalg.norm(move), is_apart & (wanted > 0)


def _distance(params: Any, others: Any) -> jax.Array:
    space = Space.like(params)
    return jnp.linalg.norm(space.ravel(params) - space.ravel(others))
