"""The distance to a target that further updates make (Flennerhag et al. 2022, bootstrapped).

The target goes on from θ^(i): all of its updates but the last descend the inner loss, the last one
the outer loss, with an optimiser memory of its own. It is a constant; the meta-gradient descends a
divergence to it.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from hessdiag.inner import InnerState, InnerUpdate
from hessdiag.meta import streams
from hessdiag.meta.objectives.base import Outer
from hessdiag.meta.system import System
from hessdiag.spectra import Space


@dataclass(frozen=True)
class Bootstrapped:
    """The divergence of θ^(i) from a target some updates ahead.

    Attributes:
        updates: L, how many updates make the target, the outer one included.
    """

    updates: int = 1

    def init(self, system: System, params):
        """The state of the optimiser that makes the outer update."""
        return system.update.optimiser.init(params)

    def __call__(self, system: System, state, eta, env_state, key, memory) -> Outer:
        """The divergence, and its derivatives; the target's trajectories are those compared."""
        making, comparing = streams.target(key, self.updates)
        target, memory, env_state = self._target(system, state, eta, env_state, making, memory)
        target = jax.lax.stop_gradient(target)
        _, trajectories = system.rollout(target, eta, env_state, comparing)

        def loss(params, eta):
            return _divergence(system, params, target, eta, trajectories)

        value, (to_params, to_eta) = jax.value_and_grad(loss, argnums=(0, 1))(state.params, eta)
        return Outer(value, Space.like(state.params).ravel(to_params), to_eta, memory)

    def _target(self, system: System, state, eta, env_state, keys, memory):
        """(θ̃, the optimiser's memory after the outer update, the environments' state)."""
        for j in range(self.updates - 1):
            env_state, trajectories = system.rollout(state.params, eta, env_state, keys[j])
            state = system.update(state, trajectories, eta)
        env_state, trajectories = system.rollout(state.params, eta, env_state, keys[-1])
        outer = InnerUpdate(system.outer_loss, system.update.optimiser, clip=system.update.clip)
        after = outer(InnerState(state.params, memory, state.step), trajectories, eta)
        return after.params, after.opt_state, env_state


def _divergence(system: System, params, target, eta, trajectories) -> Any:
    """The problem's own, or half the squared distance of the parameters."""
    of_problem: Any = getattr(system.problem, "divergence", None)
    if of_problem is not None:
        return of_problem(params, target, system.hyper(eta), trajectories)
    squares = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 2), params, target)
    return 0.5 * sum(jax.tree.leaves(squares))
