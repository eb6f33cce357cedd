"""A2C with λ-returns in any environment: what its learning problems have in common."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.problems.base import Hyper, MetaParameter
from hessdiag.problems.loss_terms import LossTerms, total
from hessdiag.problems.scalars import NamedScalars
from hessdiag.rl.actor_critic import ActorCriticLosses, actor_critic_losses
from hessdiag.rl.rollout import EnvironmentState, Trajectory, episode_metrics, reset, rollout


class ActorCriticProblem(NamedScalars):
    """The losses of Bonnet et al. 2021 (appendix C.2), and rollouts that go on where they stopped.

    γ, λ and the weights of critic and entropy are meta-learned. A subclass has an environment and a
    network besides the settings named here.
    """

    batch_size: int
    rollout_length: int
    outer_gamma: float
    outer_lambda: float
    environment: Any  # batched, resetting by itself
    network: Any  # (N, …) observations → logits (N, A), values (N,)
    observe: Callable[[Any], Float[Array, "B ..."]]
    by_ratio: bool = False  # whether the inner policy loss has π / sg(π) in place of log π

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """γ, λ, the critic's weight and the entropy's weight."""
        return (
            MetaParameter("gamma", 0.99),
            MetaParameter("lambda", 0.99),
            MetaParameter("c_crit", 0.5),
            MetaParameter("c_entr", 0.01),
        )

    def start(self, eta, key):
        """Fresh parameters and a batch of reset environments."""
        del eta
        network_key, environment_key = jax.random.split(key)
        size, observe = self.batch_size, self.observe
        environments = reset(self.environment, environment_key, size, observe=observe)
        return self.network.init(network_key, environments.observation), environments

    def rollout(self, params, hyper, env_state: EnvironmentState, key):
        """Play `rollout_length` steps in every environment, no action mask."""
        del hyper
        params = jax.lax.stop_gradient(params)
        return rollout(
            self.environment,
            lambda seen: self.network.apply(params, seen)[0],
            env_state,
            key,
            length=self.rollout_length,
            observe=self.observe,
        )

    def inner_loss(self, params, hyper: Hyper, trajectories: Trajectory):
        """A2C loss: policy + c_crit · critic − c_entr · entropy, a mean over B × T steps."""
        return total(self.inner_loss_terms(params, hyper, trajectories))

    def inner_loss_terms(self, params, hyper: Hyper, trajectories: Trajectory) -> LossTerms:
        """Its three terms, with their signs and weights."""
        return self._inner(params, None, hyper, trajectories)

    def inner_loss_with_targets(self, params, target_params, hyper: Hyper, trajectories):
        """The inner loss with bootstrap targets and baseline of `target_params`, nothing stopped.

        Its gradient in `params` at equal parameters is that of `inner_loss`, a semi-gradient.
        """
        return total(self._inner(params, target_params, hyper, trajectories))

    def outer_loss(self, params, hyper, trajectories: Trajectory):
        """The policy term alone, with γ' and λ'."""
        del hyper
        return self._losses(params, trajectories, self.outer_gamma, self.outer_lambda).policy

    def outer_aim(self, params, hyper, trajectories: Trajectory):
        """What the outer loss is a surrogate of, with its sign: reward per step, negative."""
        del params, hyper
        return -jnp.mean(trajectories.transitions.reward)

    def metrics(self, params, trajectories: Trajectory) -> Mapping:
        """Mean return of the episodes that ended, how many did, and reward per step."""
        del params
        return episode_metrics(trajectories)

    def _inner(self, params, target_params, hyper: Hyper, trajectories: Trajectory) -> LossTerms:
        gamma, lam = hyper["gamma"], hyper["lambda"]
        by_ratio = self.by_ratio
        losses = self._losses(params, trajectories, gamma, lam, target_params, by_ratio=by_ratio)
        return {
            "policy": losses.policy,
            "critic": hyper["c_crit"] * losses.critic,
            "entropy": -hyper["c_entr"] * losses.entropy,
        }

    def _losses(
        self, params, trajectories: Trajectory, gamma, lam, target_params=None, *, by_ratio=False
    ) -> ActorCriticLosses:
        logits, v = self._outputs(params, trajectories)
        target_v = None if target_params is None else self._outputs(target_params, trajectories)[1]

        of_trajectory = partial(actor_critic_losses, gamma=gamma, lam=lam, by_ratio=by_ratio)
        losses = jax.vmap(of_trajectory)(logits[:, :-1], v, trajectories.transitions, target_v)
        return jax.tree.map(jnp.mean, losses)

    def _outputs(self, params, trajectories: Trajectory):
        """Logits (B, T + 1, A) and values (B, T + 1)."""
        seen = trajectories.observation  # (B, T + 1, …)
        flat = seen.reshape(-1, *seen.shape[2:])
        logits, v = map(jnp.asarray, self.network.apply(params, flat))
        return logits.reshape(*seen.shape[:2], -1), v.reshape(seen.shape[:2])
