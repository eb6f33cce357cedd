"""The reverse sweep: a weighted sum of i-step meta-gradients from one pass back through an unroll.

The cotangent of the augmented state x = (θ, s) is carried from point to point. Linearisations are
those that the unroll stored, or are made again, one inner step at a time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import FULL, Cut, InnerStep, Outliers, linearised_step, outliers, pull_back
from hessdiag.meta import streams
from hessdiag.meta.system import Start, System
from hessdiag.meta.unroll import Unroll


class Pushes(NamedTuple):
    """What a sweep adds to an objective's derivatives on its way back."""

    to_params: Float[Array, "n+1 d"]  # to the cotangents of θ^(0) … θ^(n)
    to_eta: Float[Array, " m"]


OfGradient = Callable[[Any, Any, Float[Array, " d"]], tuple[Float[Array, " d"], Float[Array, " m"]]]
"""(θ^(j), τ^(j), cotangent of g^(j)) → what it adds to the cotangents of θ^(j) and of η."""


def adjoint_meta_gradient(
    system: System,
    start: Start,
    points: Unroll,
    weights: Float[Array, " n"] | None = None,
    cut: Cut = FULL,
    key: PRNGKeyArray | None = None,
    pushes: Pushes | None = None,
    of_gradient: OfGradient | None = None,
) -> Float[Array, " m"]:
    """Σ_i w_i dL'(θ^(i), η, τ̃^(i))/dη, i = 1 … n (eq. 5; with weights, eq. 10).

    Args:
        system: the problem and its inner update.
        start: of the unroll.
        points: the unroll, with an objective; evaluated everywhere if there are weights.
        weights: w_1 … w_n; None means the n-step meta-gradient alone.
        cut: a counterfactual, if not the full meta-gradient.
        key: randomness of the Lanczos start vectors, for cuts with bounds.
        pushes: what is added to the derivatives of the objective, if anything.
        of_gradient: what every inner gradient adds besides its own derivative, if anything.

    Returns:
        The meta-gradient with respect to the unconstrained η, direct derivatives of the objective
        and the path through x^(0) included; in full, so is the path through the optimiser's state.

    Raises:
        ValueError: a cut with bounds, but no key.
    """
    if cut.inside is not None and key is None:
        raise ValueError("cuts with bounds need a key: their eigenpairs are found by Lanczos")
    assert points.outer is not None
    outer = points.outer._replace(memory=())
    outer = jax.tree.map(lambda leaf: leaf.mean(axis=1), outer)  # over draws of the validation
    n = len(points.losses)
    if weights is None:
        last = jnp.arange(n) == n - 1
        weights = last.astype(outer.to_eta.dtype)
        outer = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[-1], (n, *leaf.shape[1:])), outer)

    def back(carry, of_step):
        cotangent, gradient = carry
        j, state, trajectories, stored, to_params, weight, pushed = of_step
        cotangent = cotangent._replace(params=cotangent.params + weight * to_params)
        if pushed is not None:
            cotangent = cotangent._replace(params=cotangent.params + pushed)
        step = step_of(system, start, state, trajectories, stored)
        pulled = pull_back(step, cotangent, cut, outliers=left_out(step, cut, key, j))
        cotangent, gradient = pulled.cotangent, gradient + pulled.to_eta
        if of_gradient is not None:
            more, more_to_eta = of_gradient(state.params, trajectories, pulled.to_gradient)
            cotangent = cotangent._replace(params=cotangent.params + more)
            gradient = gradient + more_to_eta
        return (cotangent, gradient), None

    after = None if pushes is None else pushes.to_params[1:]
    (cotangent, gradient), _ = jax.lax.scan(
        back,
        (start.flat_zero(), weights @ outer.to_eta),
        (*before_updates(points), outer.to_params, weights, after),
        reverse=True,
    )
    if pushes is not None:
        cotangent = cotangent._replace(params=cotangent.params + pushes.to_params[0])
        gradient = gradient + pushes.to_eta
    return gradient + start.to_eta(cotangent)


def before_updates(points: Unroll) -> tuple:
    """(j, x^(j), τ^(j), stored linearisation) of every update, stacked."""
    states = jax.tree.map(lambda leaf: leaf[:-1], points.states)
    return jnp.arange(len(points.losses)), states, points.trajectories, points.steps


def step_of(system: System, start: Start, state, trajectories, stored) -> InnerStep:
    """The linearised update at x^(j): the stored one, or made again."""
    if stored is not None:
        return stored
    return linearised_step(system.update, state, trajectories, start.eta, with_eta=True)


def left_out(step: InnerStep, cut: Cut, key: PRNGKeyArray | None, j) -> Outliers | None:
    """The eigenpairs of inner step j that a cut leaves out."""
    if cut.inside is None or key is None:
        return None
    return outliers(step, streams.numbered(key, j), inside=cut.inside, matvecs=cut.matvecs)
