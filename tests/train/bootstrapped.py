"""A user's own problem with bootstrap targets: the Markov reward process, learned by TD(0)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hessdiag.problems.mrp import MarkovRewardProcess


@dataclass(frozen=True)
class Bootstrapped(MarkovRewardProcess):
    """Each value learns from the reward and the value of the next state, both discounted."""

    def inner_loss(self, params, hyper, trajectories):
        targets_from = jax.lax.stop_gradient(params)
        return self.inner_loss_with_targets(params, targets_from, hyper, trajectories)

    def inner_loss_with_targets(self, params, target_params, hyper, trajectories):
        discounts = jnp.stack([hyper[parameter.name] for parameter in self.meta_parameters])
        following = jnp.append(self.values(target_params)[1:], 0.0)
        targets = discounts[None] * (trajectories + following[None])
        return self._squared_error(params, targets)


def make_problem(**settings) -> Bootstrapped:
    return Bootstrapped(**settings)
