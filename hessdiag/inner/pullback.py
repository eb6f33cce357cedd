"""Back through one inner update, along what a cut leaves: cotangents of x^(j) and η from x^(j+1)'s.

Going back needs the transpose of the optimiser, which is elementwise, and the product of the
cotangent w of the gradient with ∂g/∂(θ, η): no reverse mode through reverse mode.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner.cuts import Cut
from hessdiag.inner.step import InnerStep

RESOLVED = 1e-2  # residual below which a Ritz pair counts as an eigenpair, relative to the norm


class Cotangent(NamedTuple):
    """Of the augmented state x = (θ, s)."""

    params: Float[Array, " d"]
    memory: Float[Array, " k"]


class PulledBack(NamedTuple):
    """What one cotangent of x^(j+1) becomes."""

    cotangent: Cotangent  # of x^(j)
    to_gradient: Float[Array, " d"]  # of g^(j), the inner gradient
    to_eta: Float[Array, " m"]  # of η, through this update: the term of eq. 11


class Outliers(NamedTuple):
    """Eigenpairs of the Hessian outside bounds; rows that hold none are zero."""

    values: Float[Array, " matvecs"]
    vectors: Float[Array, "matvecs d"]  # rows of unit length
    number: Int[Array, ""]


def pull_back(
    step: InnerStep,
    cotangent: Cotangent,
    cut: Cut,
    *,
    outliers: Outliers | None = None,
    mixed: Float[Array, "m d"] | None = None,
    ends: bool = False,
) -> PulledBack:
    """Go back through one inner update, along what a cut leaves.

    Args:
        step: the update at x^(j), linearised in η, too.
        cotangent: of x^(j+1).
        cut: which paths to follow.
        outliers: eigenpairs to leave out, for cuts that stay inside bounds.
        mixed: ∂g/∂η, if there: spares cuts of the Hessian a product.
        ends: nobody reads the cotangent of x^(j): with `mixed` no product is needed, and it is
            without the Hessian's part.
    """
    if cut.as_sgd:
        assert step.learning_rate is not None
        params, memory = cotangent
        to_gradient = step.back_through_clipping(-step.learning_rate * params)
    else:
        params, memory, to_gradient = step.back_through_optimiser(*cotangent)
    if cut.trace is not None:
        params = cut.trace * cotangent.params
    if mixed is not None and (ends or not cut.follows_hessian):
        to_eta = mixed @ to_gradient
    else:
        to_params, to_eta = step.products(to_gradient)
        if outliers is not None:
            to_params = without(outliers, to_gradient, to_params)
        params = params + to_params if cut.follows_hessian else params
    if not cut.as_sgd:
        to_eta = to_eta + step.back_to_eta(*cotangent, like=to_eta)
    memory = memory if cut.follows_memory else jnp.zeros_like(memory)
    for moment, entries in step.moments:
        memory = memory.at[slice(*entries)].set(0) if moment == cut.still else memory
    return PulledBack(Cotangent(params, memory), to_gradient, to_eta)


def outliers(
    step: InnerStep, key: PRNGKeyArray, *, inside: tuple[float, float], matvecs: int
) -> Outliers:
    """The eigenpairs of the Hessian whose eigenvalue of H = −α∇²L is outside bounds.

    One Lanczos run explores both ends of the spectrum; what it resolves is returned: the outermost
    pairs, which a bound on |1 + eigenvalue| is about, not the bulk next to a bound.

    Args:
        step: an inner update with a learning rate α.
        key: randomness of the start vector.
        inside: bounds on the eigenvalues of H.
        matvecs: products at the most, Lanczos steps: those with more resolve more pairs.
    """
    assert step.learning_rate is not None
    start = jax.random.normal(key, (step.params.size,), step.params.dtype)
    run = spectra.lanczos(
        step.hessian,
        start,
        max_matvecs=matvecs,
        tolerance=0.0,
        keep_basis=True,
        check_every=matvecs,
    )
    values, vectors, residuals = spectra.ritz_vectors(run)
    eigenvalues = -step.learning_rate * values
    outside = (eigenvalues < inside[0]) | (eigenvalues > inside[1])
    chosen = outside & (residuals <= RESOLVED * run.scale)  # false where nothing is active
    return Outliers(
        jnp.where(chosen, values, 0), jnp.where(chosen[:, None], vectors, 0), jnp.sum(chosen)
    )


@jax.default_matmul_precision("highest")
def without(
    outliers: Outliers, v: Float[Array, " d"], product: Float[Array, " d"]
) -> Float[Array, " d"]:
    """∇²L v less what the outliers contribute to it."""
    return product - (outliers.values * (outliers.vectors @ v)) @ outliers.vectors
