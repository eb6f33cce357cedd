"""Estimators that differentiate through an unroll: weights over horizons × cut × objective."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.inner import Cut
from hessdiag.meta import streams
from hessdiag.meta.adjoint import adjoint_meta_gradient
from hessdiag.meta.estimators.base import MetaStep, Options, kept
from hessdiag.meta.objectives import Objective, Validation
from hessdiag.meta.start import Start
from hessdiag.meta.system import System
from hessdiag.meta.unroll import point, unroll


@dataclass(frozen=True)
class Sweep:
    """Σ_i w_i times the i-step meta-gradient of an objective, through what a cut leaves.

    Attributes:
        options: number of steps, samples, and how they are computed.
        weights: w_1 … w_n; None for the n-step meta-gradient alone.
        cut: which paths it follows.
        objective: what it descends.
    """

    options: Options
    weights: tuple[float, ...] | None
    cut: Cut
    objective: Objective = field(default_factory=Validation)

    @property
    def horizon_weights(self) -> np.ndarray:
        """w_1 … w_n, of the n-step meta-gradient alone as well."""
        if self.weights is not None:
            return np.asarray(self.weights)
        return np.eye(self.options.n)[-1]

    def init(self, system: System, params: Any) -> Any:
        """What the objective remembers before the first iteration."""
        return self.objective.init(system, params)

    def __call__(self, system: System, start: Start, key: PRNGKeyArray, memory: Any) -> MetaStep:
        """The estimate, averaged over samples; training keeps the first one's unroll (eq. 8)."""
        first = self._single(system, start, key, memory)
        more = self.options.samples - 1
        if more == 0 or self.options.n == 0:
            return first
        others = jax.lax.map(
            lambda key: self._single(system, start, key, memory).meta_gradient,
            streams.averaged(key, more),
            batch_size=self.options.chunk,
        )
        mean = (first.meta_gradient + jnp.sum(others, axis=0)) / self.options.samples
        return first._replace(meta_gradient=mean)

    def _single(self, system: System, start: Start, key: PRNGKeyArray, memory: Any) -> MetaStep:
        """One estimate from one unroll; for n = 0 the unroll only makes the update."""
        options = self.options
        points = unroll(
            system,
            start,
            streams.sources(key, max(options.n, 1)),
            objective=self.objective if options.n > 0 else None,
            memory=memory,
            at="last" if self.weights is None else "all",
            store=options.n > 0 and not options.remat,
        )
        state, env_state = kept(points, start, options.keep)
        gradient, value = jnp.zeros_like(start.eta), jnp.asarray(jnp.nan)
        if points.outer is not None:
            weights = None if self.weights is None else np.asarray(self.weights)
            gradient = adjoint_meta_gradient(
                system,
                start,
                points,
                None if weights is None else jnp.asarray(weights, start.eta.dtype),
                cut=self.cut,
                key=streams.deflation(key),
            )
            value, memory = points.outer.value[-1, 0], point(point(points.outer.memory, -1), 0)
        trajectories = point(points.trajectories, 0)
        loss = points.losses[0]
        return MetaStep(gradient, state, env_state, trajectories, loss, value, memory)
