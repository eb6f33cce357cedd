"""What all Krylov methods share: the product and Gram-Schmidt of a step, and what ends a run."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from threadpoolctl import threadpool_limits

from hessdiag.spectra.accuracy import least_number
from hessdiag.spectra.checks import require_floating, require_not_negative, require_whole
from hessdiag.spectra.gram_schmidt import (
    BLOCK,
    Blocks,
    append,
    empty_blocks,
    nonzero,
    norm,
    orthogonality,
    split,
)
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Vector

BREAKDOWN = 1.0
"""A residual of at most this many eps sqrt(d) |A| may be rounding."""

_DITHER = 1e-3  # part of the rounding of a product

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
    total: Vector  # sum of the rows
    image: Vector  # sum of their products
    noise: Scalar  # rounding of a product of unit length, over the scale; -1 if not measured
    was_tiny: Bool[Array, ""]  # a residual before may have been rounding
    explored: Bool[Array, ""]  # this one is none, or a row came from one before
    converged: Bool[Array, ""]
    settled: Bool[Array, ""]  # converged, and nothing else to wait for
    broke_down: Bool[Array, ""]  # the space is invariant
    failed: Bool[Array, ""]  # a product was not finite


class Step(NamedTuple):
    """One product, taken apart."""

    product: Vector  # A q
    column: Float[Array, " rows"]  # coefficients that Gram-Schmidt took from it
    residual: Scalar


class Judgement(NamedTuple):
    """What an algorithm says of a space."""

    converged: Bool[Array, ""]
    settled: Bool[Array, ""]  # converged, and nothing else to wait for
    exhausted: Bool[Array, ""]  # nothing is left to find, if the residual is rounding


class Algorithm(NamedTuple):
    """What an algorithm makes of the steps: a record, such as a matrix, and when it is enough."""

    record: Any  # before the first step
    remainder: Callable[[Krylov, Array], Array]  # A q without its known parts, for Gram-Schmidt
    recorded: Callable[[Krylov, Step], Any]  # the record after a step, from the space before it
    judge: Callable[[Krylov], "Judgement"]
    is_doubtful: Callable[[Krylov], Bool[Array, ""]]  # whether to measure the noise of products


def depth(operator: Operator, start: Vector, max_matvecs: int, tolerance: Any) -> int:
    """Steps that a run can take at most; ValueError if an argument cannot be."""
    require_whole(max_matvecs, "max_matvecs")
    if max_matvecs < 1:
        raise ValueError(f"max_matvecs = {max_matvecs}: a run needs at least one product")
    require_not_negative(tolerance, "tolerance")
    require_floating(start, "start")
    if start.size != operator.size:
        raise ValueError(f"start has {start.size} entries; allowed: the operator's {operator.size}")
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

    The algorithm is asked every `check_every` steps, from `min_matvecs` on. A residual that may be
    rounding ends nothing by itself: what it hides grows in the next steps, from the residual or, if
    nothing is left of it, from a random vector, until the algorithm calls the space exhausted.

    A product that is not finite ends the run, too, with `converged` false. Where the algorithm then
    doubts, the product of the sum of all rows, beside the sum of their products, says what products
    round.
    """

    def growing(space: Krylov) -> Bool[Array, ""]:
        return (space.active < cap) & ~(space.settled | space.broke_down | space.failed)

    def probing(space: Krylov) -> Bool[Array, ""]:
        return ~(growing(space) | space.failed) & (space.noise < 0) & algorithm.is_doubtful(space)

    def step(space: Krylov) -> Krylov:
        grows = growing(space)
        product = operator.product(jnp.where(grows, space.vector, space.total))
        grown = judged(_grown(operator, algorithm, space, product, grows), grows)
        length = nonzero(norm(space.total) * space.scale)
        probed = space._replace(noise=norm(product - space.image) / length, basis=())
        chosen = jax.tree.map(lambda a, b: jnp.where(grows, a, b), grown._replace(basis=()), probed)
        return chosen._replace(basis=grown.basis)

    def judged(space: Krylov, grows: Bool[Array, ""]) -> Krylov:
        alive = grows & ~space.failed
        tiny = (space.residual <= _rounding(operator, space.scale)) & alive
        due = (space.active % check_every == 0) | (space.active == cap)
        due &= alive & (space.active >= min_matvecs)
        nothing = Judgement(*jnp.zeros(3, bool))
        space = space._replace(explored=~tiny | space.was_tiny, was_tiny=tiny | space.was_tiny)
        found = jax.lax.cond(due | tiny, algorithm.judge, lambda _: nothing, space)
        broke_down = (found.exhausted & tiny) | (alive & (space.active == operator.size))
        return space._replace(
            converged=broke_down | (found.converged & due),
            settled=found.settled & due,
            broke_down=broke_down,
        )

    return jax.lax.while_loop(
        lambda space: growing(space) | probing(space),
        step,
        _initial(operator, start, algorithm.record, cap),
    )


def outcome(space: Krylov, cap: int, *, keep_basis: bool) -> dict[str, Any]:
    """What every decomposition says of its run, by name."""
    basis = jnp.concatenate(space.basis)[:cap]
    return {
        "active": space.active,
        "orthogonality": orthogonality(basis, space.active),
        "scale": space.scale,
        "size": jnp.asarray(space.vector.size, jnp.int32),
        "converged": space.converged,
        "broke_down": space.broke_down,
        "basis": basis if keep_basis else None,
    }


def _initial(operator: Operator, start: Vector, record: Any, cap: int) -> Krylov:
    start = start.astype(operator.dtype)
    zero, no = jnp.zeros((), operator.dtype), jnp.zeros((), bool)
    return Krylov(
        basis=empty_blocks(cap, operator.size, operator.dtype),
        vector=start / norm(start),
        residual=zero,
        active=jnp.zeros((), jnp.int32),
        scale=zero,
        record=record,
        total=jnp.zeros_like(start),
        image=jnp.zeros_like(start),
        noise=zero - 1,
        was_tiny=no,
        explored=no,
        converged=no,
        settled=no,
        broke_down=no,
        failed=no,
    )


def _grown(
    operator: Operator, algorithm: Algorithm, space: Krylov, product: Vector, grows: Bool[Array, ""]
) -> Krylov:
    """One more basis vector, written if the space grows."""
    count = space.active + 1
    beyond = BLOCK * len(space.basis)
    basis = append(space.basis, space.vector, jnp.where(grows, space.active, beyond))
    scale = jnp.maximum(space.scale, norm(product))
    remainder, number = algorithm.remainder(space, product), jnp.finfo(operator.dtype)
    dither = jnp.maximum(_DITHER * number.eps * scale, least_number(operator.dtype))
    tiny = grows & (norm(remainder) <= _rounding(operator, scale))
    remainder = jax.lax.cond(tiny, _dithered, lambda x, *_: x, remainder, dither, count)
    rest, column = split(basis, remainder, count)
    column, length = jnp.where(jnp.abs(column) <= 2 * dither, 0, column), norm(rest)
    residual = jnp.where(length <= 2 * dither, 0, length)
    return space._replace(
        basis=basis,
        vector=rest / nonzero(length),
        residual=residual,
        active=count,
        scale=scale,
        total=space.total + space.vector,
        image=space.image + product,
        record=algorithm.recorded(space, Step(product, column, residual)),
        failed=~jnp.isfinite(length),
    )


def _dithered(vector: Vector, size: Scalar, seed: Int[Array, ""]) -> Vector:
    """A vector that may be zero with a little of a random one, to go on with."""
    random = jax.random.normal(jax.random.key(seed), vector.shape, vector.dtype)
    return vector + size / norm(random) * random


def _rounding(operator: Operator, scale: Scalar) -> Scalar:
    """Length up to which a residual may be rounding."""
    eps, least = jnp.finfo(operator.dtype).eps, least_number(operator.dtype)
    return jnp.maximum(BREAKDOWN * eps * operator.size**0.5 * scale, 2 * least)
