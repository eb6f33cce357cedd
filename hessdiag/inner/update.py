"""The inner update U: (x, η, τ) → x', with x = (parameters, optimiser state).

There is one definition of it, used by training, by every meta-gradient and by every operator.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from hessdiag import spectra
from hessdiag.inner.optimisers import clip_to_norm
from hessdiag.problems import MetaParameter, Problem
from hessdiag.problems.scalars import hyper_parameters

Eta = Float[Array, " m"]


class InnerState(NamedTuple):
    """What an inner update maps to its successor."""

    params: Any  # θ
    opt_state: optax.OptState  # s
    step: Int[Array, ""]  # inner updates so far; the schedule reads it


@dataclass(frozen=True)
class InnerUpdate:
    """One inner update of a problem.

    Attributes:
        problem: where loss and meta-parameters come from.
        optimiser: gradient → direction, any optax transformation.
        learning_rate: schedule, inner step count → α.
        clip_norm: global norm that the gradient is clipped to before the optimiser; 0 for none.
        transform: transform of all meta-parameters; None leaves each its own.
    """

    problem: Problem
    optimiser: optax.GradientTransformation
    learning_rate: Callable[[Int[Array, ""]], Float[Array, ""]]
    clip_norm: float = 0.0
    transform: str | None = None

    @property
    def meta_parameters(self) -> tuple[MetaParameter, ...]:
        """The problem's meta-parameters, with the transforms in force."""
        own = tuple(self.problem.meta_parameters)
        if self.transform is None:
            return own
        return tuple(dataclasses.replace(p, transform=self.transform) for p in own)

    def init(self, params) -> InnerState:
        """The state before the first update."""
        return InnerState(params, self.optimiser.init(params), jnp.zeros((), jnp.int32))

    def loss(self, params, eta: Eta, trajectories) -> Float[Array, ""]:
        """L(θ, η, τ)."""
        hyper = hyper_parameters(self.meta_parameters, eta)
        return self.problem.inner_loss(params, hyper, trajectories)

    def gradient(self, params, eta: Eta, trajectories):
        """∇_θ L(θ, η, τ)."""
        return jax.grad(self.loss)(params, eta, trajectories)

    def semi_gradient(self, params, eta: Eta, trajectories):
        """∇_θ L as a map of θ that moves its bootstrap targets too, for problems that have any."""
        hyper = hyper_parameters(self.meta_parameters, eta)
        loss: Any = getattr(self.problem, "inner_loss_with_targets")  # noqa: B009
        return jax.grad(loss)(params, params, hyper, trajectories)

    def linearised_gradient(self, params, eta: Eta, trajectories) -> tuple[Any, Any]:
        """∇_θ L, and the map w ↦ (∇²_θθ L w, ∇²_ηθ L w), a pytree that replays its linearisation.

        Second derivatives of the loss are symmetric (what `stop_gradient` freezes counts as a
        constant), so that this is also the transposed derivative of the gradient in (θ, η).
        """
        gradients = jax.grad(self.loss, argnums=(0, 1))
        (gradient, _), products = spectra.linearise(
            lambda params: gradients(params, eta, trajectories), params
        )
        return gradient, products

    def clip(self, gradient):
        """The gradient, scaled down to `clip_norm` where it is longer."""
        if self.clip_norm == 0:
            return gradient
        return clip_to_norm(gradient, self.clip_norm)

    def displacement(self, state: InnerState, clipped) -> tuple[Any, optax.OptState]:
        """(θ' − θ, s'), given the clipped gradient: the optimiser's direction times −α."""
        direction, opt_state = self.optimiser.update(clipped, state.opt_state, state.params)
        alpha = self.learning_rate(state.step)
        return jax.tree.map(lambda d: -alpha * d, direction), opt_state

    def apply(self, state: InnerState, gradient) -> InnerState:
        """The update, given the gradient: clip, optimiser, step of length α."""
        change, opt_state = self.displacement(state, self.clip(gradient))
        params = jax.tree.map(jnp.add, state.params, change)
        return InnerState(params, opt_state, state.step + 1)

    def __call__(self, state: InnerState, eta: Eta, trajectories) -> InnerState:
        """X' = U(x, η, τ)."""
        return self.apply(state, self.gradient(state.params, eta, trajectories))


def annealing(kind: str, start: float, iterations: int) -> Callable:
    """The learning rate at every inner step: "constant", or "linear" to 0 over `iterations`."""
    if kind == "constant":
        return optax.constant_schedule(start)
    return optax.linear_schedule(start, 0.0, iterations)
