"""The outer gradient against a held sensitivity: how far T alone makes the variance grow."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner.pullback import contract
from hessdiag.inner.update import InnerUpdate
from hessdiag.meta.start import Start
from hessdiag.meta.unroll import point, unroll


def outer_growth(
    update: InnerUpdate,
    start: Start,
    key: PRNGKeyArray,
    *,
    n: int,
) -> Float[Array, "n m"]:
    """T^(i) · ∂θ^(1)/∂η for i = 1 … n: the i-step meta-gradient, were the sensitivity to stay.

    Args:
        update: the inner update.
        start: x_t, η_t and the environments' state.
        key: randomness of all rollouts, those of `hessdiag.meta.unroll.unroll`.
        n: the longest horizon, n ≥ 1.
    """
    points = unroll(update, start, key, n=n, validate_all=True)
    state, eta = start.inner, start.eta
    first = point(points.trajectories, 0)
    _, along = spectra.linearise(lambda eta: update(state, eta, first).params, eta)
    sensitivity = jax.lax.map(along, jnp.eye(eta.size, dtype=eta.dtype))

    def read(after_and_validation):
        return contract(jax.grad(update.problem.outer_loss)(*after_and_validation), sensitivity)

    after = jax.tree.map(lambda leaf: leaf[1:], points.states.params)
    return jax.lax.map(read, (after, points.validation))
