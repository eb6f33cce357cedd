"""Antithetic evolution strategies on η: no derivative of the inner updates at all.

The mean over directions ε ~ N(0, I) of (F(η + σε) − F(η − σε)) ε / 2σ, with F the outer loss after
n updates, is the gradient of F smoothed by N(0, σ²I). Both ends share their random numbers. Where
the outer loss is a surrogate, F is what it stands for: see `outer_losses`.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.meta import streams
from hessdiag.meta.estimators.base import MetaStep, Options, kept
from hessdiag.meta.system import Start, System
from hessdiag.meta.under_eta import outer_losses
from hessdiag.meta.unroll import point, unroll


@dataclass(frozen=True)
class EvolutionStrategies:
    """`options.samples` antithetic pairs, each 2 (n + 1) rollouts: as many as two n-step ones."""

    options: Options

    @property
    def rollouts(self) -> int:
        """Of the unroll that training keeps, and of two for each pair."""
        n, samples = self.options.n, self.options.samples
        return max(self.options.keep, 1) + (2 * (n + 1) * samples if n > 0 else 0)

    def init(self, system: System, params: Any) -> Any:
        """Nothing is remembered."""
        del system, params
        return ()

    def __call__(self, system: System, start: Start, key: PRNGKeyArray, memory: Any) -> MetaStep:
        """The estimate; training keeps an unroll at η itself, of the updates it keeps alone."""
        keep = max(self.options.keep, 1)
        points = unroll(system, start, streams.sources(key, keep))
        state, env_state = kept(points, start, self.options.keep)
        gradient, value = jnp.zeros_like(start.eta), jnp.asarray(jnp.nan)
        if self.options.n > 0:
            pairs = jnp.concatenate([key[None], streams.averaged(key, self.options.samples - 1)])
            gradients, values = jax.lax.map(
                lambda key: self._pair(system, start, key), pairs, batch_size=self.options.chunk
            )
            gradient, value = gradients.mean(axis=0), values.mean()
        first = point(points.trajectories, 0)
        return MetaStep(gradient, state, env_state, first, points.losses[0], value, memory)

    def _pair(
        self, system: System, start: Start, key: PRNGKeyArray
    ) -> tuple[Float[Array, " m"], Float[Array, ""]]:
        """One pair's estimate, and the mean of its two outer losses."""
        sigma = self.options.perturbation
        direction = jax.random.normal(streams.directions(key), start.eta.shape, start.eta.dtype)

        def outer(sign):
            eta = start.eta + sign * sigma * direction
            return outer_losses(system, start, eta, key, n=self.options.n, at="last")[0]

        above, below = jax.lax.map(outer, jnp.array([1.0, -1.0], start.eta.dtype))
        return (above - below) / (2 * sigma) * direction, (above + below) / 2
