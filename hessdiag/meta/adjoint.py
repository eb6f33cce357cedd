"""The reverse sweep: a weighted sum of i-step meta-gradients from one pass back through an unroll.

The cotangent of the augmented state x = (θ, s) is carried from point to point. Linearisations are
those that the unroll stored, or are made again, one inner step at a time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner.augmented import Augmented, augmented
from hessdiag.inner.cuts import FULL, Paths
from hessdiag.inner.outliers import outliers
from hessdiag.inner.pullback import pull_back
from hessdiag.inner.update import Eta, InnerUpdate
from hessdiag.meta.unroll import Unroll, point


def adjoint_meta_gradient(
    update: InnerUpdate,
    eta: Eta,
    points: Unroll,
    weights: Float[Array, " n"] | None = None,
    paths: Paths = FULL,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " m"]:
    """Σ_i w_i ∇_η L'(θ^(i), τ̃^(i)), i = 1 … n (eq. 5; with weights, eq. 10).

    Args:
        update: the inner update.
        eta: the η of the unroll.
        points: the unroll; validated everywhere if there are weights.
        weights: w_1 … w_n; None means the n-step meta-gradient alone.
        paths: a counterfactual, if not the full meta-gradient.
        key: randomness of the Lanczos start vectors, for paths with bounds.

    Returns:
        The meta-gradient with respect to the unconstrained η; in full, the path through the
        optimiser's state is included.

    Raises:
        ValueError: paths with bounds, but no key.
    """
    if paths.inside is not None and key is None:
        raise ValueError("paths with bounds need a key: their eigenpairs are found by Lanczos")
    outer_gradient = jax.grad(update.problem.outer_loss)

    def back(carry, at):
        cotangent, gradient = carry
        state, trajectories, linearised, entering = at
        if weights is not None:
            validated, validation, weight = entering
            cotangent = _add(cotangent, outer_gradient(validated, validation), weight)
        if linearised is None:
            linearised = update.linearised_gradient(state.params, eta, trajectories)
        gradient_here, products = linearised
        pairs = None
        if paths.inside is not None and key is not None:
            alpha = update.learning_rate(state.step)
            own_key = jax.random.fold_in(key, state.step)
            pairs = outliers(
                lambda v: products(v)[0],
                state.params,
                own_key,
                alpha=alpha,
                inside=paths.inside,
                matvecs=paths.matvecs,
            )
        pulled = pull_back(update, state, gradient_here, products, cotangent, paths, outliers=pairs)
        return (pulled.cotangent, gradient + pulled.to_eta), None

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
