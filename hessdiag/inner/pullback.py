"""Back through one inner update: the cotangents of x^(j) and of η from that of x^(j+1).

Going back needs the transpose of the optimiser, which is elementwise, and the product of the
cotangent w of the gradient with ∂g/∂(θ, η). Second derivatives of the loss are symmetric, so that
product is the forward derivative of ∇_(θ,η) L along w: no reverse mode through reverse mode.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.inner.augmented import Augmented, augmented, response
from hessdiag.inner.cuts import Paths
from hessdiag.inner.outliers import Outliers, without
from hessdiag.inner.update import InnerState, InnerUpdate

Products = Callable[[Any], tuple[Any, Float[Array, " m"]]]
"""w ↦ (∇²_θθ L w, ∇²_ηθ L w)."""


class PulledBack(NamedTuple):
    """What one cotangent of x^(j+1) becomes."""

    cotangent: Augmented  # of x^(j)
    to_gradient: Any  # of g^(j), the inner gradient
    to_eta: Float[Array, " m"]  # of η, through this update's gradient: the term of eq. 11


def pull_back(
    update: InnerUpdate,
    state: InnerState,
    gradient: Any,
    products: Products,
    cotangent: Augmented,
    paths: Paths,
    *,
    outliers: Outliers | None = None,
    mixed: Any = None,
) -> PulledBack:
    """Go back through the inner update at x^(j), along some paths.

    Args:
        update: the inner update.
        state: x^(j).
        gradient: g^(j).
        products: of the second derivatives of the inner loss at θ^(j).
        cotangent: of x^(j+1).
        paths: which to follow.
        outliers: eigenpairs to leave out, for paths that stay inside bounds.
        mixed: ∇²_θη L, a leading axis over η, if there: spares paths without the Hessian a product.
    """
    to_state, to_gradient = _through_optimiser(update, state, gradient, cotangent, paths)
    if mixed is not None and not paths.follows_hessian:
        to_eta = contract(to_gradient, mixed)
        to_params = None
    else:
        to_params, to_eta = products(to_gradient)
    params = to_state.params if paths.trace is None else _scaled(paths.trace, cotangent.params)
    if paths.follows_hessian:
        if outliers is not None:
            to_params = without(outliers, to_gradient, to_params)
        params = jax.tree.map(jnp.add, params, to_params)
    memory = to_state.memory
    if not paths.follows_memory:
        memory = [jnp.zeros_like(leaf) for leaf in memory]
    return PulledBack(Augmented(params, memory), to_gradient, to_eta)


def contract(cotangent: Any, rows: Any) -> Float[Array, " m"]:
    """⟨cotangent, row⟩ for every row of a pytree with a leading axis."""
    products = jax.tree.map(lambda t, d: jnp.tensordot(d, t, axes=t.ndim), cotangent, rows)
    return jnp.sum(jnp.stack(jax.tree.leaves(products)), axis=0)


def _through_optimiser(
    update: InnerUpdate, state: InnerState, gradient, cotangent: Augmented, paths: Paths
) -> tuple[Augmented, Any]:
    """Cotangents of x^(j) and of the gradient from that of x^(j+1), the gradient held."""
    if paths.as_sgd:
        alpha = update.learning_rate(state.step)
        _, transpose = jax.vjp(update.clip, gradient)
        return cotangent, transpose(_scaled(-alpha, cotangent.params))[0]
    _, transpose = jax.vjp(response(update, state), augmented(state), gradient)
    return transpose(cotangent)


def _scaled(factor, tree):
    return jax.tree.map(lambda leaf: factor * leaf, tree)
