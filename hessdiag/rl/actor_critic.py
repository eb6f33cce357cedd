"""The advantage actor-critic losses of one trajectory (Bonnet et al. 2021, appendix C.2)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hessdiag.rl.returns import lambda_returns


class Transitions(NamedTuple):
    """One trajectory without its observations; a batch has a leading axis."""

    action: Int[Array, " T"]
    reward: Float[Array, " T"]
    discount: Float[Array, " T"]  # 0 where the episode ended, else 1


class ActorCriticLosses(NamedTuple):
    """Mean losses over the T steps of one trajectory."""

    policy: Float[Array, ""]
    critic: Float[Array, ""]
    entropy: Float[Array, ""]


def actor_critic_losses(
    logits_tm1: Float[Array, "T A"],
    v: Float[Array, " T+1"],
    transitions: Transitions,
    *,
    gamma: Float[Array, ""] | float,
    lam: Float[Array, ""] | float,
    target_v: Float[Array, " T+1"] | None = None,
) -> ActorCriticLosses:
    """The three terms of the A2C loss with λ-return targets.

    Values inside the targets, and the baseline of the advantage, are constants with respect
    to the network; the targets stay differentiable in γ and λ, in the policy term too, because
    the meta-gradient runs through them. Hence every derivative, of every order, treats
    the target values as constants: the Hessian of this loss is symmetric.

    Args:
        logits_tm1: policy logits at s_0 … s_{T−1}.
        v: state values at s_0 … s_T.
        transitions: actions, rewards and discounts.
        gamma: discount γ.
        lam: λ of the λ-returns.
        target_v: values that targets and baseline are made of, differentiable; by default `v`, held
            constant.

    Returns:
        Policy loss −mean(A log π(a)), critic loss mean(½ (g − v)²), and mean entropy.
    """
    frozen_v = jax.lax.stop_gradient(v) if target_v is None else target_v
    targets = lambda_returns(transitions.reward, gamma * transitions.discount, frozen_v[1:], lam)
    log_pi = jax.nn.log_softmax(logits_tm1)
    taken = jnp.take_along_axis(log_pi, transitions.action[:, None], axis=-1)[:, 0]
    return ActorCriticLosses(
        policy=-jnp.mean((targets - frozen_v[:-1]) * taken),
        critic=0.5 * jnp.mean((targets - v[:-1]) ** 2),
        entropy=-jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1)),
    )
