"""Back through one inner update: the cotangents of x^(j) and of η from that of x^(j+1).

Going back needs the transpose of the optimiser, which is elementwise, and the product of the
cotangent w of the gradient with ∂g/∂(θ, η): no reverse mode through reverse mode.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.inner.cuts import Cut
from hessdiag.inner.outliers import Outliers, without
from hessdiag.inner.step import InnerStep


class Cotangent(NamedTuple):
    """Of the augmented state x = (θ, s)."""

    params: Float[Array, " d"]
    memory: Float[Array, " k"]


class PulledBack(NamedTuple):
    """What one cotangent of x^(j+1) becomes."""

    cotangent: Cotangent  # of x^(j)
    to_gradient: Float[Array, " d"]  # of g^(j), the inner gradient
    to_eta: Float[Array, " m"]  # of η, through this update's gradient: the term of eq. 11


def pull_back(
    step: InnerStep,
    cotangent: Cotangent,
    cut: Cut,
    *,
    outliers: Outliers | None = None,
    mixed: Float[Array, "m d"] | None = None,
) -> PulledBack:
    """Go back through one inner update, along what a cut leaves.

    Args:
        step: the update at x^(j), linearised in η, too.
        cotangent: of x^(j+1).
        cut: which paths to follow.
        outliers: eigenpairs to leave out, for cuts that stay inside bounds.
        mixed: ∂g/∂η, if there: spares cuts of the Hessian a product.
    """
    params, memory, to_gradient = _through_optimiser(step, cotangent, cut)
    if cut.trace is not None:
        params = cut.trace * cotangent.params
    if mixed is not None and not cut.follows_hessian:
        to_eta = mixed @ to_gradient
    else:
        to_params, to_eta = step.products(to_gradient)
        if outliers is not None:
            to_params = without(outliers, to_gradient, to_params)
        params = params + to_params if cut.follows_hessian else params
    memory = memory if cut.follows_memory else jnp.zeros_like(memory)
    return PulledBack(Cotangent(params, memory), to_gradient, to_eta)


def _through_optimiser(step: InnerStep, cotangent: Cotangent, cut: Cut):
    """Cotangents of θ^(j), of the memory and of the gradient, the gradient held."""
    if not cut.as_sgd:
        return step.back_through_optimiser(*cotangent)
    assert step.learning_rate is not None
    return *cotangent, step.back_through_clipping(-step.learning_rate * cotangent.params)
