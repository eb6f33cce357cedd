"""What a meta-gradient descends at θ^(i): nothing else differentiates the outer loss."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import Eta, InnerState, InnerUpdate
from hessdiag.meta import streams
from hessdiag.meta.system import System
from hessdiag.spectra import Space


class Outer(NamedTuple):
    """What an objective says at one θ^(i)."""

    value: Float[Array, ""]
    to_params: Float[Array, " d"]  # T = ∂value/∂θ^(i)
    to_eta: Float[Array, " m"]  # the direct derivative in η
    memory: Any  # what the objective remembers for the next iteration


class Objective(Protocol):
    """Where T comes from; frozen, and equal to those of the same settings."""

    @property
    def rollouts(self) -> int:
        """How many it draws at one θ^(i)."""
        ...

    def init(self, system: System, params: Any) -> Any:
        """What it remembers before the first iteration."""
        ...

    def __call__(
        self,
        system: System,
        state: InnerState,
        eta: Eta,
        env_state: Any,
        key: PRNGKeyArray,
        memory: Any,
    ) -> Outer:
        """The objective at x^(i), on rollouts from a key that continue the environments' state."""
        ...


@dataclass(frozen=True)
class Validation:
    """L'(θ^(i), η, τ̃^(i)) on trajectories sampled from θ^(i), independent of all τ^(j).

    Bonnet et al. 2021, eq. 4 and 5.
    """

    @property
    def rollouts(self) -> int:
        """τ̃^(i) alone."""
        return 1

    def init(self, system: System, params):
        """Nothing is remembered."""
        del system, params
        return ()

    def __call__(self, system: System, state, eta, env_state, key, memory) -> Outer:
        """The outer loss, and its derivatives."""
        trajectories = system.validation(state.params, eta, env_state, key)
        return _differentiated(system.outer_loss, state.params, eta, trajectories, memory)


@dataclass(frozen=True)
class Bootstrapped:
    """The divergence of θ^(i) from a target some updates ahead (Flennerhag et al. 2022).

    The target goes on from θ^(i): all of its updates but the last descend the inner loss, the last
    one the outer loss, with an optimiser memory of its own. It is a constant.

    Attributes:
        updates: L, how many updates make the target, the outer one included. Of none, θ^(i) is its
            own target: nothing moves η.
    """

    updates: int = 1

    @property
    def rollouts(self) -> int:
        """Of the target's updates, and of the states compared."""
        return self.updates + 1

    def init(self, system: System, params):
        """The state of the optimiser that makes the outer update."""
        return system.update.optimiser.init(params)

    def __call__(self, system: System, state, eta, env_state, key, memory) -> Outer:
        """The divergence, and its derivatives; the target's trajectories are those compared."""
        making, comparing = streams.target(key, self.updates)
        target, memory, env_state = self._target(system, state, eta, env_state, making, memory)
        target = jax.lax.stop_gradient(target)
        _, trajectories = system.rollout(target, eta, env_state, comparing)

        def divergence(params, eta, trajectories):
            return _divergence(system, params, target, eta, trajectories)

        return _differentiated(divergence, state.params, eta, trajectories, memory)

    def _target(self, system: System, state, eta, env_state, keys, memory):
        """(θ̃, the optimiser's memory after the outer update, the environments' state)."""
        if self.updates == 0:
            return state.params, memory, env_state
        for j in range(self.updates - 1):
            env_state, trajectories = system.rollout(state.params, eta, env_state, keys[j])
            state = system.update(state, trajectories, eta)
        env_state, trajectories = system.rollout(state.params, eta, env_state, keys[-1])
        outer = InnerUpdate(system.outer_loss, system.update.optimiser, clip=system.update.clip)
        after = outer(InnerState(state.params, memory, state.step), trajectories, eta)
        return after.params, after.opt_state, env_state


def _differentiated(loss, params, eta, trajectories, memory) -> Outer:
    gradients = jax.value_and_grad(loss, argnums=(0, 1))
    value, (to_params, to_eta) = gradients(params, eta, trajectories)
    return Outer(value, Space.like(params).ravel(to_params), to_eta, memory)


def _divergence(system: System, params, target, eta, trajectories) -> Any:
    """The problem's own, or half the squared distance of the parameters."""
    of_problem: Any = getattr(system.problem, "divergence", None)
    if of_problem is not None:
        return of_problem(params, target, system.hyper(eta), trajectories)
    squares = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 2), params, target)
    return 0.5 * sum(jax.tree.leaves(squares))
