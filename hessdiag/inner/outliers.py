"""Eigenpairs of the inner loss's Hessian that a counterfactual leaves out."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hessdiag import spectra

RESOLVED = 1e-2  # residual below which a Ritz pair counts as an eigenpair, relative to the norm


class Outliers(NamedTuple):
    """Eigenpairs outside bounds; rows that hold none are zero."""

    values: Float[Array, " matvecs"]
    vectors: Float[Array, "matvecs d"]  # rows of unit length
    number: Int[Array, ""]


def outliers(
    product: Any,
    params: Any,
    key: PRNGKeyArray,
    *,
    alpha: Float[Array, ""] | float,
    inside: tuple[float, float],
    matvecs: int,
) -> Outliers:
    """The eigenpairs of the Hessian whose eigenvalue of H = −α∇²L is outside bounds.

    Both ends of the spectrum are explored by one Lanczos run, and what it resolves is returned: the
    outermost pairs, which are those that a bound on |1 + eigenvalue| is about. The bulk next to a
    bound is not.

    Args:
        product: θ-like pytree v ↦ ∇²L v.
        params: θ.
        key: randomness of the start vector.
        alpha: the learning rate α.
        inside: bounds on the eigenvalues of H.
        matvecs: products at the most, Lanczos steps: those with more resolve more pairs.
    """
    space = spectra.Space.like(params)
    operator = spectra.symmetric(lambda v: product(v), params)
    start = jax.random.normal(key, (space.size,), space.dtype)
    run = spectra.lanczos(
        operator, start, max_matvecs=matvecs, tolerance=0.0, keep_basis=True, check_every=matvecs
    )
    values, vectors, residuals = spectra.ritz_vectors(run)
    eigenvalues = -alpha * values
    outside = (eigenvalues < inside[0]) | (eigenvalues > inside[1])
    chosen = outside & (residuals <= RESOLVED * run.scale)  # false where nothing is active
    return Outliers(
        jnp.where(chosen, values, 0), jnp.where(chosen[:, None], vectors, 0), jnp.sum(chosen)
    )


def without(outliers: Outliers, v: Any, product: Any) -> Any:
    """∇²L v less what the outliers contribute to it."""
    space = spectra.Space.like(v)
    along = outliers.values * (outliers.vectors @ space.ravel(v))
    return jax.tree.map(jnp.subtract, product, space.unravel(along @ outliers.vectors))
