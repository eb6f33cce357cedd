"""What all Krylov methods share: the product and Gram-Schmidt of a step, and what ends a run.

An algorithm adds a record of its own, such as a tridiagonal matrix, and a test of convergence.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.gram_schmidt import (
    Blocks,
    append,
    empty_blocks,
    norm,
    orthogonality,
    split,
)
from hessdiag.spectra.operators import Operator

BREAKDOWN = 1.0
"""A residual of at most this many eps sqrt(d) |A| is rounding: the Krylov space is invariant."""


class Krylov(NamedTuple):
    """A Krylov space that grows by one vector a step, and what an algorithm has recorded of it."""

    basis: Blocks  # finished rows, then zeros
    vector: Float[Array, " d"]  # next row, of unit length
    residual: Float[Array, ""]  # its length before: what A q has outside the finished rows
    active: Int[Array, ""]  # finished rows, and products spent
    scale: Float[Array, ""]  # largest |A q|
    record: Any  # the algorithm's own
    converged: Bool[Array, ""]
    settled: Bool[Array, ""]  # converged, and nothing else to wait for
    broke_down: Bool[Array, ""]  # the space is invariant
    failed: Bool[Array, ""]  # a product was not finite


class Step(NamedTuple):
    """One product, taken apart."""

    product: Float[Array, " d"]  # A q
    column: Float[Array, " rows"]  # coefficients that Gram-Schmidt took from it
    residual: Float[Array, ""]
    threshold: Float[Array, ""]  # length up to which a residual is rounding


class Algorithm(NamedTuple):
    """What an algorithm makes of the steps.

    Attributes:
        record: What it has recorded before the first step.
        remainder: (space, A q) -> what is left for Gram-Schmidt, known parts taken away.
        recorded: (space before the step, step) -> its record after it.
        judge: Space -> whether it has converged, and whether it has settled.
    """

    record: Any
    remainder: Callable[[Krylov, Array], Array]
    recorded: Callable[[Krylov, Step], Any]
    judge: Callable[[Krylov], tuple[Bool[Array, ""], Bool[Array, ""]]]


def depth(operator: Operator, max_matvecs: int) -> int:
    """Steps that a run can take at most: `max_matvecs`, or the size of the operator.

    Raises:
        ValueError: If no product is allowed: there is nothing to say about an operator then.
    """
    if max_matvecs < 1:
        raise ValueError(f"max_matvecs = {max_matvecs}: a run needs at least one product")
    return min(max_matvecs, operator.size)


def build(
    operator: Operator,
    start: Float[Array, " d"],
    algorithm: Algorithm,
    *,
    cap: int,
    check_every: int,
    min_matvecs: int = 0,
) -> Krylov:
    """Grow the space until the algorithm settles, the space is invariant, or `cap` rows are there.

    A product that is not finite ends the run, too, with `converged` false.

    Args:
        operator: The square map A.
        start: Start vector of any length but zero.
        algorithm: What to record and when to stop.
        cap: Products at the most.
        check_every: Steps between tests of convergence.
        min_matvecs: Products before the first test.
    """

    def unfinished(space: Krylov) -> Bool[Array, ""]:
        return (space.active < cap) & ~(space.settled | space.broke_down | space.failed)

    def step(space: Krylov) -> Krylov:
        space = _grown(operator, algorithm, space)
        due = (space.active % check_every == 0) | (space.active == cap)
        due &= ~space.failed & (space.active >= min_matvecs)
        no = jnp.zeros((), bool)
        converged, settled = jax.lax.cond(due, algorithm.judge, lambda _: (no, no), space)
        return space._replace(converged=space.broke_down | converged, settled=settled)

    return jax.lax.while_loop(unfinished, step, _initial(operator, start, algorithm.record, cap))


def outcome(space: Krylov, cap: int, *, keep_basis: bool) -> dict[str, Any]:
    """What every decomposition says of its run, by name."""
    basis = jnp.concatenate(space.basis)[:cap]
    return {
        "active": space.active,
        "orthogonality": orthogonality(basis, space.active),
        "scale": space.scale,
        "converged": space.converged,
        "broke_down": space.broke_down,
        "basis": basis if keep_basis else None,
    }


def _initial(operator: Operator, start: Float[Array, " d"], record: Any, cap: int) -> Krylov:
    start = start.astype(operator.dtype)
    zero, false = jnp.zeros((), operator.dtype), jnp.zeros((), bool)
    return Krylov(
        basis=empty_blocks(cap, operator.size, operator.dtype),
        vector=start / norm(start),
        residual=zero,
        active=jnp.zeros((), jnp.int32),
        scale=zero,
        record=record,
        converged=false,
        settled=false,
        broke_down=false,
        failed=false,
    )


def _grown(operator: Operator, algorithm: Algorithm, space: Krylov) -> Krylov:
    """One product and one more basis vector."""
    count = space.active + 1
    basis = append(space.basis, space.vector, space.active)
    product = operator.product(space.vector)
    scale = jnp.maximum(space.scale, norm(product))
    rest, column = split(basis, algorithm.remainder(space, product), count)
    residual = norm(rest)
    threshold = BREAKDOWN * jnp.finfo(operator.dtype).eps * operator.size**0.5 * scale
    failed = ~jnp.isfinite(residual)
    broke_down = ((residual <= threshold) | (count == operator.size)) & ~failed
    return space._replace(
        basis=basis,
        vector=rest / jnp.where(broke_down, 1, residual),
        residual=residual,
        active=count,
        scale=scale,
        record=algorithm.recorded(space, Step(product, column, residual, threshold)),
        broke_down=broke_down,
        failed=failed,
    )
