"""Estimators that differentiate through an unroll, composed of what each is made of."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from hessdiag.inner import FULL, Cut
from hessdiag.meta import streams
from hessdiag.meta.adjoint import OfGradient, Pushes, adjoint_meta_gradient
from hessdiag.meta.estimators.base import MetaStep, Options, kept
from hessdiag.meta.objectives import Objective, Validation
from hessdiag.meta.score import (
    Scores,
    linearised_scores,
    objective_values,
    require_members,
    score_pushes,
)
from hessdiag.meta.system import Start, System
from hessdiag.meta.unroll import Unroll, point, unroll


@dataclass(frozen=True)
class Sweep:
    """Σ_i w_i times the i-step meta-gradient of an objective, through what a cut leaves.

    Attributes:
        options: number of steps, samples, and how they are computed.
        weights: w_1 … w_n; None for the n-step meta-gradient alone.
        cut: which paths it follows.
        objective: what it descends.
        scores: how it follows the path through what is sampled, if at all; of the outer loss alone.
            Ours: the baseline of full scores is the mean objective of the other samples; of one
            sample there is none, or, where they are centred, that of one more unroll.
    """

    options: Options
    weights: tuple[float, ...] | None = None
    cut: Cut = FULL
    objective: Objective = field(default_factory=Validation)
    scores: Scores = "none"

    def __post_init__(self):
        """Refuse scores of another objective (ValueError)."""
        if self.scores != "none" and self.objective != Validation():
            raise ValueError("score terms are those of the outer loss: no other objective has them")

    @property
    def validations(self) -> int:
        """Draws behind each outer loss: one where scores or another objective are made for it."""
        averages = self.scores == "none" and self.objective == Validation()
        return self.options.validations if averages else 1

    @property
    def rollouts(self) -> int:
        """Of unrolls and of the objective where it is evaluated; those made again count once."""
        n, samples = self.options.n, self.options.samples
        if n == 0:
            return 1
        places = 1 if self.weights is None else n
        baseline = self.scores == "centred" and samples == 1
        return (samples + baseline) * (n + places * self.validations * self.objective.rollouts)

    @property
    def horizon_weights(self) -> np.ndarray:
        """w_1 … w_n, of the n-step meta-gradient alone as well."""
        if self.weights is not None:
            return np.asarray(self.weights)
        return np.eye(self.options.n)[-1]

    def init(self, system: System, params: Any) -> Any:
        """What the objective remembers before the first iteration.

        Raises:
            UsageError: there are score terms, but not the problem's members that they need.
        """
        require_members(system, self.scores)
        return self.objective.init(system, params)

    def __call__(self, system: System, start: Start, key: PRNGKeyArray, memory: Any) -> MetaStep:
        """The estimate, averaged over samples; training keeps the first one's unroll (eq. 8)."""
        more = self.options.samples - 1
        if more == 0 or self.options.n == 0:
            return self._single(system, start, key, memory, self._apart(system, start, key, memory))
        keys = streams.averaged(key, more)
        baseline, baselines = self._baselines(system, start, key, keys, memory)
        first = self._single(system, start, key, memory, baseline)
        others = jax.lax.map(
            lambda pair: self._single(system, start, pair[0], memory, pair[1]).meta_gradient,
            (keys, baselines),
            batch_size=self.options.chunk,
        )
        mean = (first.meta_gradient + jnp.sum(others, axis=0)) / self.options.samples
        return first._replace(meta_gradient=mean)

    def _baselines(self, system: System, start: Start, key, keys, memory) -> tuple[Any, Any]:
        """Of the first sample and of the others: the mean objective of all but itself.

        It does not depend on the sample's own trajectories: scores stay free of bias. The price is
        a second unroll of every sample.
        """
        if self.scores not in ("full", "centred"):
            return None, None

        def values(key):
            return objective_values(system, start, *self._unroll(system, start, key, memory))

        keys = jnp.concatenate([key[None], keys])
        each = jax.lax.map(values, keys, batch_size=self.options.chunk)
        means = (jnp.sum(each, axis=0, keepdims=True) - each) / (len(each) - 1)
        return means[0], means[1:]

    def _apart(self, system: System, start: Start, key, memory) -> Any:
        """The baseline of a single sample: the objective of one more unroll, or none."""
        if self.scores != "centred" or self.options.n == 0:
            return None
        other = streams.averaged(key, 1)[0]
        return objective_values(system, start, *self._unroll(system, start, other, memory))

    def _unroll(self, system: System, start: Start, key, memory) -> tuple[streams.Sources, Unroll]:
        """Its sources and one unroll; for n = 0 the unroll only makes the update."""
        options = self.options
        drawn = streams.sources(key, max(options.n, 1), validations=self.validations)
        points = unroll(
            system,
            start,
            drawn,
            objective=self.objective if options.n > 0 else None,
            memory=memory,
            at="last" if self.weights is None else "all",
            store=options.n > 0 and not options.remat,
        )
        return drawn, points

    def _single(self, system: System, start: Start, key, memory, baseline=None) -> MetaStep:
        """One estimate from one unroll."""
        drawn, points = self._unroll(system, start, key, memory)
        state, env_state = kept(points, start, self.options.keep)
        gradient, value = jnp.zeros_like(start.eta), jnp.asarray(jnp.nan)
        if points.outer is not None:
            weights = jnp.asarray(self.horizon_weights, start.eta.dtype)
            pushes, of_gradient = self._score_terms(system, start, drawn, points, baseline)
            gradient = adjoint_meta_gradient(
                system,
                start,
                points,
                None if self.weights is None else weights,
                cut=self.cut,
                key=streams.deflation(key),
                pushes=pushes,
                of_gradient=of_gradient,
            )
            value, memory = points.outer.value[-1].mean(), point(point(points.outer.memory, -1), 0)
        first = point(points.trajectories, 0)
        return MetaStep(gradient, state, env_state, first, points.losses[0], value, memory)

    def _score_terms(
        self, system: System, start: Start, drawn, points: Unroll, baseline
    ) -> tuple[Pushes | None, OfGradient | None]:
        """What the path through what is sampled adds to the sweep."""
        if self.scores == "none":
            return None, None
        advantages = objective_values(system, start, drawn, points)
        advantages = advantages if baseline is None else advantages - baseline
        weighted = jnp.asarray(self.horizon_weights, start.eta.dtype)[-len(advantages) :]
        is_linear = self.scores == "linearised"
        pushes = score_pushes(
            system, start, drawn, points, weighted * advantages, of_inner=not is_linear
        )
        return pushes, linearised_scores(system, start) if is_linear else None
