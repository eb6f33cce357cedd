"""A user's own problem whose loss is NaN for the seeds that draw a positive first weight."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hessdiag.problems.mrp import MarkovRewardProcess


@dataclass(frozen=True)
class NaNForSome(MarkovRewardProcess):
    def inner_loss(self, params, hyper, trajectories):
        broken = jax.tree.leaves(params)[-1].ravel()[0] > 0
        return jnp.where(broken, jnp.nan, 1.0) * super().inner_loss(params, hyper, trajectories)


def make_problem(**settings) -> NaNForSome:
    return NaNForSome(**settings)
