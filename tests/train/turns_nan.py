"""A user's own problem whose loss turns NaN as soon as γ_0 has moved."""

from dataclasses import dataclass

import jax.numpy as jnp

from hessdiag.problems.mrp import MarkovRewardProcess


@dataclass(frozen=True)
class TurnsNaN(MarkovRewardProcess):
    def inner_loss(self, params, hyper, trajectories):
        moved = jnp.abs(hyper["gamma_0"] - 0.5) > 1e-6
        factor = jnp.where(moved, jnp.nan, 1.0)
        return factor * super().inner_loss(params, hyper, trajectories)


def make_problem(**settings) -> TurnsNaN:
    return TurnsNaN(**settings)
