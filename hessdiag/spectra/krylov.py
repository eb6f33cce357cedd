"""What all Krylov methods agree on: how deep a run may go, and which numbers are rounding."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.spectra.operators import Operator

BREAKDOWN = 1.0
"""A residual of at most this many eps sqrt(d) |A| is rounding: the Krylov space is invariant."""

CLEAR = 100.0
"""Couplings of at least so many roundings can tell the asymmetry of the operator."""


def depth(operator: Operator, max_matvecs: int) -> int:
    """Steps that a run can take at most: `max_matvecs`, or the smaller dimension of the operator.

    Raises:
        ValueError: If no product is allowed: there is nothing to say about an operator then.
    """
    if max_matvecs < 1:
        raise ValueError(f"max_matvecs = {max_matvecs}: a run needs at least one product")
    return min(max_matvecs, operator.domain.size, operator.codomain.size)


def rounding(operator: Operator, scale: Float[Array, ""]) -> Float[Array, ""]:
    """Length up to which a residual is rounding, where |A| is `scale`."""
    size = max(operator.domain.size, operator.codomain.size)
    return BREAKDOWN * jnp.finfo(operator.dtype).eps * size**0.5 * scale
