"""The outer loss on fresh trajectories (Bonnet et al. 2021, eq. 4 and 5)."""

from dataclasses import dataclass

import jax

from hessdiag.meta.objectives.base import Outer
from hessdiag.meta.system import System
from hessdiag.spectra import Space


@dataclass(frozen=True)
class Validation:
    """L'(θ^(i), η, τ̃^(i)) on trajectories sampled from θ^(i), independent of all τ^(j)."""

    def init(self, system: System, params):
        """Nothing is remembered."""
        del system, params
        return ()

    def __call__(self, system: System, state, eta, env_state, key, memory) -> Outer:
        """The outer loss, and its derivatives."""
        _, trajectories = system.rollout(state.params, eta, env_state, key)
        gradients = jax.value_and_grad(system.outer_loss, argnums=(0, 1))
        value, (to_params, to_eta) = gradients(state.params, eta, trajectories)
        return Outer(value, Space.like(state.params).ravel(to_params), to_eta, memory)
