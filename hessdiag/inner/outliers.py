"""Eigenpairs of the inner loss's Hessian that a counterfactual leaves out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hessdiag import spectra
from hessdiag.inner.step import InnerStep

RESOLVED = 1e-2  # residual below which a Ritz pair counts as an eigenpair, relative to the norm


class Outliers(NamedTuple):
    """Eigenpairs outside bounds; rows that hold none are zero."""

    values: Float[Array, " matvecs"]
    vectors: Float[Array, "matvecs d"]  # rows of unit length
    number: Int[Array, ""]


def outliers(
    step: InnerStep,
    key: PRNGKeyArray,
    *,
    inside: tuple[float, float],
    matvecs: int,
) -> Outliers:
    """The eigenpairs of the Hessian whose eigenvalue of H = −α∇²L is outside bounds.

    Both ends of the spectrum are explored by one Lanczos run, and what it resolves is returned: the
    outermost pairs, which are those that a bound on |1 + eigenvalue| is about. The bulk next to a
    bound is not.

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


def without(
    outliers: Outliers, v: Float[Array, " d"], product: Float[Array, " d"]
) -> Float[Array, " d"]:
    """∇²L v less what the outliers contribute to it."""
    return product - (outliers.values * (outliers.vectors @ v)) @ outliers.vectors
