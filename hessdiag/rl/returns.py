"""λ-returns, for one trajectory; batches are made by `jax.vmap`."""

import jax
from jaxtyping import Array, Float


def lambda_returns(
    r_t: Float[Array, " T"],
    discount_t: Float[Array, " T"],
    v_t: Float[Array, " T"],
    lam: Float[Array, ""] | float,
) -> Float[Array, " T"]:
    """λ-returns of one trajectory, differentiable in every argument.

    G_t = r_t + discount_t · ((1 − λ) v_t + λ G_{t+1}), started from G_T = v_T
    (Sutton & Barto 2018, section 12.1; the targets g_η of Bonnet et al. 2021, appendix C.2).

    Args:
        r_t: rewards r_1 … r_T, each received on arriving in state t.
        discount_t: γ times (1 − done), at the same times.
        v_t: state values v(s_1) … v(s_T); the last one bootstraps.
        lam: λ in [0, 1].

    Returns:
        Returns G_0 … G_{T−1}, aligned with the states s_0 … s_{T−1}.
    """

    def backwards(g, now):
        r, discount, v = now
        g = r + discount * ((1.0 - lam) * v + lam * g)
        return g, g

    _, returns = jax.lax.scan(backwards, v_t[-1], (r_t, discount_t, v_t), reverse=True)
    return returns
