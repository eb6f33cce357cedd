"""The actor-critic losses of one trajectory (Bonnet et al. 2021, appendix C.2); vmap for more."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


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
    target_v: Float[Array, " T+1"] | None = None,
    *,
    gamma: Float[Array, ""] | float,
    lam: Float[Array, ""] | float,
    by_ratio: bool = False,
) -> ActorCriticLosses:
    """The three terms of the A2C loss with λ-return targets.

    Values inside the targets, and the baseline of the advantage, are constants with respect to the
    network, to every order: the Hessian is symmetric. The targets stay differentiable in γ and λ,
    in the policy term too: the meta-gradient runs through them.

    Args:
        logits_tm1: policy logits at s_0 … s_{T−1}.
        v: state values at s_0 … s_T.
        transitions: actions, rewards and discounts.
        target_v: values that targets and baseline are made of, differentiable; by default `v`, held
            constant.
        gamma: discount γ.
        lam: λ of the λ-returns.
        by_ratio: whether π / sg(π) stands in place of log π in the policy loss, with the same
            gradient but the score terms of its own step in the Hessian (low-variance curvature,
            Rothfuss et al. 2019; "LVC" in Liu et al. 2022).

    Returns:
        Policy loss −mean(A log π(a)), critic loss mean(½ (g − v)²), and mean entropy.
    """
    frozen_v = jax.lax.stop_gradient(v) if target_v is None else target_v
    targets = lambda_returns(transitions.reward, gamma * transitions.discount, frozen_v[1:], lam)
    log_pi = jax.nn.log_softmax(logits_tm1)
    taken = jnp.take_along_axis(log_pi, transitions.action[:, None], axis=-1)[:, 0]
    if by_ratio:
        taken = jnp.exp(taken - jax.lax.stop_gradient(taken))
    return ActorCriticLosses(
        policy=-jnp.mean((targets - frozen_v[:-1]) * taken),
        critic=0.5 * jnp.mean((targets - v[:-1]) ** 2),
        entropy=-jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1)),
    )


def lambda_returns(
    r_t: Float[Array, " T"],
    discount_t: Float[Array, " T"],
    v_t: Float[Array, " T"],
    lam: Float[Array, ""] | float,
) -> Float[Array, " T"]:
    """λ-returns G_0 … G_{T−1} of the states s_0 … s_{T−1}, differentiable in every argument.

    G_t = r_t + discount_t · ((1 − λ) v_t + λ G_{t+1}), started from G_T = v_T
    (Sutton & Barto 2018, section 12.1; the targets g_η of Bonnet et al. 2021, appendix C.2).

    Args:
        r_t: rewards r_1 … r_T, each received on arriving in state t.
        discount_t: γ times (1 − done), at the same times.
        v_t: state values v(s_1) … v(s_T); the last one bootstraps.
        lam: λ in [0, 1].
    """

    def backwards(g, now):
        r, discount, v = now
        g = r + discount * ((1.0 - lam) * v + lam * g)
        return g, g

    _, returns = jax.lax.scan(backwards, v_t[-1], (r_t, discount_t, v_t), reverse=True)
    return returns
