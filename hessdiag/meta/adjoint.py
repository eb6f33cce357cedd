"""The reverse sweep: a weighted sum of i-step meta-gradients from one pass back through an unroll.

The cotangent of the augmented state x = (θ, s) is carried from point to point. Going back through
one inner update needs the transpose of the optimiser, which is elementwise, and the product of
the cotangent w of the gradient with ∂g/∂(θ, η). Second derivatives of the loss are symmetric,
so that product is the forward derivative of ∇_(θ,η) L along w: no reverse mode through reverse
mode. Linearisations are those that the unroll stored, or are made again, one inner step at a time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.meta.augmented import Augmented, augmented, response
from hessdiag.meta.inner_update import Eta, InnerState, InnerUpdate
from hessdiag.meta.unroll import Unroll, point


def adjoint_meta_gradient(
    update: InnerUpdate,
    eta: Eta,
    points: Unroll,
    weights: Float[Array, " n"] | None = None,
) -> Float[Array, " m"]:
    """Σ_i w_i ∇_η L'(θ^(i), τ̃^(i)), i = 1 … n (eq. 5; with weights, eq. 10).

    Args:
        update: the inner update.
        eta: the η of the unroll.
        points: the unroll; validated everywhere if there are weights.
        weights: w_1 … w_n; None means the n-step meta-gradient alone.

    Returns:
        The meta-gradient with respect to the unconstrained η, the path through the optimiser's
        state included.
    """
    outer_gradient = jax.grad(update.problem.outer_loss)

    def back(carry, at):
        cotangent, gradient = carry
        state, trajectories, linearised, entering = at
        if weights is not None:
            validated, validation, weight = entering
            cotangent = _add(cotangent, outer_gradient(validated, validation), weight)
        if linearised is None:
            linearised = update.linearised_gradient(state.params, eta, trajectories)
        cotangent, contribution = _through_update(update, state, linearised, cotangent)
        return (cotangent, gradient + contribution), None

    states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
    cotangent = jax.tree.map(jnp.zeros_like, augmented(point(points.states, -1)))
    entering = None
    if weights is None:
        end = point((points.states.params, points.validation), -1)
        cotangent = _add(cotangent, outer_gradient(*end), 1.0)
    else:
        after = jax.tree.map(lambda leaf: leaf[1:], points.states.params)
        entering = (after, points.validation, weights)
    (_, gradient), _ = jax.lax.scan(
        back,
        (cotangent, jnp.zeros_like(eta)),
        (states, points.trajectories, points.linearised, entering),
        reverse=True,
    )
    return gradient


def _add(cotangent: Augmented, outer_gradient, weight) -> Augmented:
    """Add a weighted ∂L'/∂θ: the outer loss reads θ alone."""
    params = jax.tree.map(lambda c, t: c + weight * t, cotangent.params, outer_gradient)
    return cotangent._replace(params=params)


def _through_update(
    update: InnerUpdate, state: InnerState, linearised, cotangent: Augmented
) -> tuple[Augmented, Float[Array, " m"]]:
    """Cotangents of x^(j) and of η, from that of x^(j+1)."""
    gradient, products = linearised
    _, transpose = jax.vjp(response(update, state), augmented(state), gradient)
    to_state, to_gradient = transpose(cotangent)
    to_params, to_eta = products(to_gradient)
    params = jax.tree.map(jnp.add, to_state.params, to_params)
    return to_state._replace(params=params), to_eta
