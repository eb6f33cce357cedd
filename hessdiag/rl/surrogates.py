"""Surrogates of the policy gradient: one first derivative, several second ones.

Each is to be ascended; the mean over a batch of a sum over one trajectory's steps. With
ρ_t = π_t / sg(π_t) and A_t the advantage, sg being `stop_gradient`:

    ad      Σ γ^t A_t log π_t            what MAML-RL differentiates twice (Finn et al. 2017)
    lvc     Σ γ^t A_t (ρ_t − 1)          low-variance curvature (Rothfuss et al. 2019)
    loaded  Σ γ^t A_t (Π_{k≤t} ρ_k − Π_{k<t} ρ_k)   Loaded DiCE (Farquhar et al. 2019)
    dice    Σ γ^t r_t Π_{k≤t} ρ_k        no values (Foerster et al. 2018)

First derivatives of ad, lvc and loaded are the same sample by sample; those of dice have no
baseline. Second derivatives of loaded and dice are unbiased, the others miss score terms
(Liu et al. 2022). Rewards and values may depend on what is differentiated.

On trajectories of other policies β, loaded and dice take ρ_t = π_t / β_t: all derivatives stay
unbiased (off-policy DiCE, Liu et al. 2022). The value of loaded is then the return less that of β.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Rewards = Float[Array, "N T"]
Values = Float[Array, "N T+1"]
"""v(s_0) … v(s_T), constants in the policy; the last one bootstraps."""
Behaviour = Float[Array, "N T"] | None
"""Log-probabilities by the policies that acted; None: by the policy itself."""


def ad(
    log_probs: Float[Array, "N T"], rewards: Rewards, values: Values, discount, lam=1.0
) -> Float[Array, ""]:
    """Log-probabilities times advantages."""
    return _weighted(lambda log_pi: log_pi, log_probs, rewards, values, discount, lam)


def lvc(
    log_probs: Float[Array, "N T"], rewards: Rewards, values: Values, discount, lam=1.0
) -> Float[Array, ""]:
    """Each step's own ratio times its advantage."""
    return _weighted(
        lambda log_pi: jnp.expm1(_log_ratio(log_pi)), log_probs, rewards, values, discount, lam
    )


def loaded(
    log_probs: Float[Array, "N T"],
    rewards: Rewards,
    values: Values,
    discount,
    lam=1.0,
    behaviour: Behaviour = None,
) -> Float[Array, ""]:
    """What a step adds to the ratio of the trajectory so far, times its advantage.

    Off the policy λ = 1: Σ γ^t (Π_{k≤t} ρ_k − 1) δ_t then, the same sum in another order.
    """

    def added(log_rho):
        before = jnp.cumsum(log_rho) - log_rho
        return jnp.exp(before) * jnp.expm1(log_rho)

    return _weighted(added, _log_ratio(log_probs, behaviour), rewards, values, discount, lam)


def dice(
    log_probs: Float[Array, "N T"],
    rewards: Rewards,
    values: Values,
    discount,
    lam=1.0,
    behaviour: Behaviour = None,
) -> Float[Array, ""]:
    """Rewards times the ratio of the trajectory so far; values and λ are not used."""
    del values, lam
    ratios = jnp.exp(jnp.cumsum(_log_ratio(log_probs, behaviour), axis=-1))
    return jnp.mean(jnp.sum(ratios * rewards * _powers(discount, rewards), axis=-1))


SURROGATES: Mapping[str, Callable[..., Float[Array, ""]]] = {
    "ad": ad,
    "lvc": lvc,
    "loaded": loaded,
    "dice": dice,
}
CORRECTED = ("loaded", "dice")
"""Those that trajectories of other policies will do for."""


def advantages(
    r_t: Float[Array, " T"], values: Float[Array, " T+1"], discount, lam=1.0
) -> Float[Array, " T"]:
    """A_t = Σ_k (γλ)^k δ_{t+k} of one trajectory (Schulman et al. 2016).

    With λ = 1 the discounted return of what is left, bootstrapped at the end, less v(s_t).
    """

    def backwards(a, delta):
        a = delta + discount * lam * a
        return a, a

    deltas = r_t + discount * values[1:] - values[:-1]
    return jax.lax.scan(backwards, jnp.zeros_like(deltas[0]), deltas, reverse=True)[1]


def discounted_return(rewards: Rewards, values: Values | None, discount) -> Float[Array, " N"]:
    """Σ γ^t r_t of every trajectory, and γ^T v(s_T) where there are values."""
    total = jnp.sum(rewards * _powers(discount, rewards), axis=-1)
    return total if values is None else total + discount ** rewards.shape[-1] * values[:, -1]


def spliced(
    gradient_of: Callable[[Any], Float[Array, ""]], derivative_of: Callable[[Any], Float[Array, ""]]
) -> Callable[[Any], Float[Array, ""]]:
    """A loss whose gradient has one loss's value and another's derivatives.

    An update along it moves as the first says, and is differentiated as the second says, in θ and
    in all that the second depends on: θ' = sg(θ_1) + θ_2 − sg(θ_2) (Liu et al. 2022's code).
    """

    def loss(theta):
        aim = jax.grad(gradient_of)(jax.lax.stop_gradient(theta))
        has = jax.grad(derivative_of)(jax.lax.stop_gradient(theta))
        moved = jax.tree.map(lambda leaf: leaf - jax.lax.stop_gradient(leaf), theta)
        turned = jax.tree.map(
            lambda a, h, m: jnp.sum(jax.lax.stop_gradient(a - h) * m), aim, has, moved
        )
        return derivative_of(theta) + sum(jax.tree.leaves(turned))

    return loss


def _weighted(weigh, logs, rewards, values, discount, lam) -> Float[Array, ""]:
    """Mean over the batch of Σ_t γ^t A_t w_t, w made of one trajectory's log π or log ρ."""
    of_trajectory = partial(advantages, discount=discount, lam=lam)
    each = jax.vmap(weigh)(logs) * jax.vmap(of_trajectory)(rewards, values)
    return jnp.mean(jnp.sum(each * _powers(discount, rewards), axis=-1))


def _log_ratio(log_probs, behaviour: Behaviour = None):
    """Log ρ, with the derivatives of log π: zero, where the policy itself acted."""
    return log_probs - jax.lax.stop_gradient(log_probs if behaviour is None else behaviour)


def _powers(discount, rewards: Rewards) -> Float[Array, "N T"]:
    """γ^t, for every trajectory."""
    return jnp.broadcast_to(discount ** jnp.arange(rewards.shape[-1]), rewards.shape)
