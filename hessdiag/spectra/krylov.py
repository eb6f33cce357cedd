"""What all Krylov methods share: the product and Gram-Schmidt of a step, and what ends a run."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from threadpoolctl import threadpool_limits

from hessdiag.spectra.gram_schmidt import Blocks, append, empty_blocks, norm, orthogonality, split
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Vector

BREAKDOWN = 1.0
"""A residual of at most this many eps sqrt(d) |A| is rounding: the Krylov space is invariant."""

one_lapack_thread = threadpool_limits.wrap(limits=1, user_api="blas")
"""Decorator and context manager: one thread for LAPACK, while XLA has the cores.

Each test of convergence is an eigendecomposition of a small matrix by LAPACK. From about 64 rows on
OpenBLAS shares it among threads, which then spin and take the cores from XLA's products.
"""


class Krylov(NamedTuple):
    """A Krylov space that grows by one vector a step, and what an algorithm has recorded of it."""

    basis: Blocks  # finished rows, then zeros
    vector: Vector  # next row, of unit length
    residual: Scalar  # its length before: what A q has outside the finished rows
    active: Int[Array, ""]  # finished rows, and products spent
    scale: Scalar  # largest |A q|
    record: Any  # the algorithm's own
    converged: Bool[Array, ""] | bool = False
    settled: Bool[Array, ""] | bool = False  # converged, and nothing else to wait for
    broke_down: Bool[Array, ""] | bool = False  # the space is invariant
    failed: Bool[Array, ""] | bool = False  # a product was not finite


class Step(NamedTuple):
    """One product, taken apart."""

    product: Vector  # A q
    column: Float[Array, " rows"]  # coefficients that Gram-Schmidt took from it
    residual: Scalar
    threshold: Scalar  # length up to which a residual is rounding


class Algorithm(NamedTuple):
    """What an algorithm makes of the steps: a record, such as a matrix, and when it is enough."""

    record: Any  # before the first step
    remainder: Callable[[Krylov, Array], Array]  # A q without its known parts, for Gram-Schmidt
    recorded: Callable[[Krylov, Step], Any]  # the record after a step, from the space before it
    judge: Callable[[Krylov], tuple[Bool[Array, ""], Bool[Array, ""]]]  # converged, and settled


def depth(operator: Operator, max_matvecs: int) -> int:
    """Steps that a run can take at most; ValueError if no product is allowed."""
    if max_matvecs < 1:
        raise ValueError(f"max_matvecs = {max_matvecs}: a run needs at least one product")
    return min(max_matvecs, operator.size)


def build(
    operator: Operator,
    start: Vector,
    algorithm: Algorithm,
    *,
    cap: int,
    check_every: int,
    min_matvecs: int = 0,
) -> Krylov:
    """Grow the space until the algorithm settles, the space is invariant, or `cap` rows are there.

    The algorithm is asked every `check_every` steps, from `min_matvecs` on. A product that is not
    finite ends the run, too, with `converged` false.
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


def _initial(operator: Operator, start: Vector, record: Any, cap: int) -> Krylov:
    start = start.astype(operator.dtype)
    zero = jnp.zeros((), operator.dtype)
    return Krylov(
        basis=empty_blocks(cap, operator.size, operator.dtype),
        vector=start / norm(start),
        residual=zero,
        active=jnp.zeros((), jnp.int32),
        scale=zero,
        record=record,
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
