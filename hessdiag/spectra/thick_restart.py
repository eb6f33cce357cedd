"""Thick-restart Lanczos: many eigenpairs of a symmetric operator in bounded memory."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.gram_schmidt import (
    nonzero,
    norm,
    orthogonalise,
    orthogonality,
    split,
)
from hessdiag.spectra.krylov import CLEAR, rounding
from hessdiag.spectra.operators import Operator

Which = Literal["largest", "smallest", "magnitude", "both ends"]

ROOM = 64 * 2**20  # bytes of a basis that no one misses

_OUTSIDE = 8.0  # above every Ritz value, in units of the scale: |T| is at most 4


class Eigenpairs(NamedTuple):
    """Ritz pairs of the wanted end, ascending; NaN where the run found fewer than `num`.

    Attributes:
        values: Ritz values; Rayleigh quotients of the vectors where residuals were checked.
        vectors: Ritz vectors, one a row, of unit length.
        residuals: Bounds of |A v - theta v| from the recurrence: true up to rounding.
        true_residuals: |A v - theta v| by one more product each, or None.
        converged: Which residual bounds met the tolerance.
        settled: The run ended because all were found, not for want of products.
        matvecs: Products spent, those of the true residuals included.
        restarts: How often the basis was full and cut down.
        fresh_starts: How often the Krylov space was invariant and a random vector opened another.
        orthogonality: Largest entry of |V V' - I| over the basis.
        scale: Largest |A v| met, a lower estimate of the operator norm.
        asymmetry: As in `LanczosDecomposition`: `ritz_pairs` refuses more than rounding.
    """

    values: Float[Array, " num"]
    vectors: Float[Array, "num d"]
    residuals: Float[Array, " num"]
    true_residuals: Float[Array, " num"] | None
    converged: Bool[Array, " num"]
    settled: Bool[Array, ""]
    matvecs: Int[Array, ""]
    restarts: Int[Array, ""]
    fresh_starts: Int[Array, ""]
    orthogonality: Float[Array, ""]
    scale: Float[Array, ""]
    asymmetry: Float[Array, ""]


class _Problem(NamedTuple):
    """What does not change in a run."""

    operator: Operator
    num: int
    most_kept: int
    which: Which
    tolerance: float | Float[Array, ""]
    explore: bool


class _State(NamedTuple):
    basis: Float[Array, "m d"]  # finished rows, then zeros
    vector: Float[Array, " d"]  # next row, of unit length
    projected: Float[Array, "m m"]  # T = V A V'
    coupling: Float[Array, " m"]  # of the rows to the next one
    dropped: Float[Array, ""]  # sum of the residuals that were taken for rounding
    active: Int[Array, ""]
    matvecs: Int[Array, ""]
    restarts: Int[Array, ""]
    fresh_starts: Int[Array, ""]
    since_fresh: Int[Array, ""]
    before: Float[Array, " num"]  # wanted values at the last fresh start
    scale: Float[Array, ""]
    asymmetry: Float[Array, ""]  # in the operator's units
    is_tridiagonal: Bool[Array, ""]  # the next row couples with the last one only
    invariant: Bool[Array, ""]  # the last residual was rounding
    explores: Bool[Array, ""]  # all have converged: a fresh vector is to look for copies
    settled: Bool[Array, ""]
    failed: Bool[Array, ""]  # a product was not finite


class _Ritz(NamedTuple):
    values: Float[Array, " m"]  # the most wanted first
    vectors: Float[Array, "m m"]  # of T, in columns
    residuals: Float[Array, " m"]


@jax.default_matmul_precision("highest")
def eigenpairs(
    operator: Operator,
    start: Float[Array, " d"],
    *,
    num: int,
    which: Which = "largest",
    max_basis: int | None = None,
    max_matvecs: int,
    tolerance: float | Float[Array, ""],
    check_every: int = 4,
    explore: bool = False,
    check_residuals: bool = True,
) -> Eigenpairs:
    """Eigenpairs at one end, or at both, of the spectrum of a symmetric operator.

    When the basis is full, the most wanted Ritz vectors stay and the Krylov space is built on:
    for symmetric A this is the implicitly restarted method of ARPACK, but without its shifts.

    An invariant Krylov space holds one eigenvector of each eigenvalue that the start contains. The
    run then goes on from a random vector orthogonal to it, and ends when such a vector has changed
    nothing, so that copies of an eigenvalue are found. Without an invariant space only rounding
    shows copies, as in every method that takes one vector at a time, unless `explore` asks.

    Works under jit, vmap and `jax.lax.map`. A product that is not finite ends the run with NaN
    values; so does a zero start vector.

    Args:
        operator: The symmetric map A. Build it before the call, under the same jit.
        start: Start vector of any length but zero, in the operator's dtype.
        num: Pairs wanted, at most d.
        which: The algebraically largest or smallest, those of largest magnitude, or as many from
            either end (the odd one from the top).
        max_basis: Rows of the basis, which is the memory, times d; a restart holds two such bases
            and twice the vectors that stay. Clipped to d, where it must exceed `num`;
            max(2 num + 1, 20) by default, as in SciPy's `eigsh`.
        max_matvecs: Upper limit on products; without any all pairs are NaN.
        tolerance: Residual bound of each pair to reach, relative to |A|. Below 10 eps of the dtype
            it buys no digits that the products have.
        check_every: Steps between tests of convergence, beside those at restarts.
        explore: Look for further copies of eigenvalues, as after an invariant space, also when all
            have converged without one: with only these kept and a random vector, until nothing
            changes any more. Costs at least `max_basis - num` products.
        check_residuals: Compute |A v - theta v| of the result, by `num` more products, and take
            for theta the Rayleigh quotient. Without it the bounds are true up to rounding, which
            grows with the number of restarts.

    Returns:
        The pairs, ascending.

    Raises:
        NonSymmetricOperatorError: If the operator is not declared symmetric.
        ValueError: If `num` does not fit into d or into `max_basis`.

    References:
        Wu and Simon 2000, SIAM J. Matrix Anal. Appl. 22. Stathopoulos, Saad and Wu 1998, SIAM J.
        Sci. Comput. 19, for how many to keep.
    """
    require_declared_symmetric(operator)
    rows = min(operator.size, max(2 * num + 1, 20) if max_basis is None else max_basis)
    problem = _Problem(
        operator, num, _most_kept(num, rows, operator.size), which, tolerance, explore
    )
    state = _initial(problem, start, rows)

    def unfinished(state: _State) -> Bool[Array, ""]:
        return (state.matvecs < max_matvecs) & ~(state.settled | state.failed)

    def step(state: _State) -> _State:
        state = _step(operator, state)
        full = state.active == rows
        due = (state.active % check_every == 0) | full | state.invariant
        return jax.lax.cond(due & ~state.failed, lambda s: _judge(problem, s), lambda s: s, state)

    state = jax.lax.while_loop(unfinished, step, state)
    return _result(problem, state, check_residuals)


def roomy_basis(operator: Operator, num: int) -> int:
    """Rows of a basis in which `num` pairs of a network rarely need a restart, within 64 MiB.

    Six times the pairs and a few more, or what fits, but never less than the default of
    `eigenpairs`.
    """
    fitting = ROOM // (operator.size * operator.dtype.itemsize)
    return min(operator.size, max(2 * num + 1, 20, min(6 * num + 8, fitting)))


def _most_kept(num: int, rows: int, size: int) -> int:
    """How many vectors survive a restart at most: half of what is free joins the wanted ones."""
    if not 1 <= num <= size:
        raise ValueError(f"num = {num} pairs of an operator of size {size}")
    if num >= rows < size:
        raise ValueError(f"max_basis = {rows} must exceed num = {num}")
    return min(num + (rows - num) // 2, rows - 1)


def _initial(problem: _Problem, start: Float[Array, " d"], rows: int) -> _State:
    size, dtype = problem.operator.size, problem.operator.dtype
    start = start.astype(dtype)
    zero, none, false = jnp.zeros((), dtype), jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    return _State(
        basis=jnp.zeros((rows, size), dtype),
        vector=start / norm(start),
        projected=jnp.zeros((rows, rows), dtype),
        coupling=jnp.zeros(rows, dtype),
        dropped=zero,
        active=none,
        matvecs=none,
        restarts=none,
        fresh_starts=none,
        since_fresh=none,
        before=jnp.full(problem.num, jnp.nan, dtype),
        scale=zero,
        asymmetry=zero,
        is_tridiagonal=false,
        invariant=false,
        explores=false,
        settled=false,
        failed=false,
    )


def _step(operator: Operator, state: _State) -> _State:
    """One product: one more row of the basis, one more of T."""
    k, vector = state.active, state.vector
    basis = state.basis.at[k].set(vector)
    product = operator.product(vector)
    scale = jnp.maximum(state.scale, norm(product))
    residual, along = split((basis,), product, k + 1)
    beta = norm(residual)
    threshold = rounding(operator, scale)
    coupling = state.coupling[k - 1]
    # Where the coupling is nearly rounding, the vector is, too, and so is its difference.
    clear = state.is_tridiagonal & (coupling > CLEAR * threshold)
    difference = jnp.where(clear, jnp.abs(along[k - 1] - coupling), 0)
    failed = ~jnp.isfinite(along[k] + beta)
    invariant = ((beta <= threshold) | (k + 1 == operator.size)) & ~failed
    projected = state.projected.at[k].set(state.coupling).at[:, k].set(state.coupling)
    return state._replace(
        basis=basis,
        vector=residual / jnp.where(invariant, 1, beta),
        projected=projected.at[k, k].set(along[k]),
        coupling=jnp.zeros_like(state.coupling).at[k].set(beta),
        active=k + 1,
        matvecs=state.matvecs + 1,
        since_fresh=state.since_fresh + 1,
        scale=scale,
        asymmetry=jnp.maximum(state.asymmetry, difference),
        is_tridiagonal=jnp.ones_like(state.is_tridiagonal),
        invariant=invariant,
        failed=failed,
    )


def _judge(problem: _Problem, state: _State) -> _State:
    """Whether all is found; if not, make room in a full basis and leave an invariant space."""
    ritz = _ritz(problem.which, state)
    state = _settle(problem, state, ritz)
    full = state.active == len(state.basis)
    state = jax.lax.cond(
        (full | state.explores) & ~state.settled,
        lambda s: _restart(problem, s, ritz),
        lambda s: s,
        state,
    )
    return jax.lax.cond(
        (state.invariant | state.explores) & ~state.settled,
        lambda s: _open(problem, s, ritz),
        lambda s: s,
        state,
    )


def _settle(problem: _Problem, state: _State, ritz: _Ritz) -> _State:
    """All wanted pairs have converged, and no fresh vector is still to be heard.

    A fresh vector has been heard when the wanted values have not changed since, be it because its
    own space is invariant, too, or for as many steps as a restart leaves at most.
    """
    wanted, threshold = ritz.values[: problem.num], problem.tolerance * state.scale
    rounding = 10 * jnp.finfo(wanted.dtype).eps * state.scale
    found = state.active >= problem.num
    converged = found & jnp.all(ritz.residuals[: problem.num] <= threshold)
    change = jnp.max(jnp.abs(wanted - state.before))
    unchanged = found & (change <= jnp.maximum(threshold, rounding))
    any_fresh = state.fresh_starts > 0
    listened = state.since_fresh >= len(state.basis) - problem.num
    heard = jnp.where(any_fresh, listened & unchanged, not problem.explore)
    heard = jnp.where(state.invariant, unchanged, heard)
    changed = any_fresh & listened & ~unchanged
    return state._replace(
        settled=(state.active == problem.operator.size) | converged & heard,
        explores=problem.explore & converged & ~heard & (listened | ~any_fresh) & ~state.invariant,
        before=jnp.where(changed, wanted, state.before),
        since_fresh=jnp.where(changed, 0, state.since_fresh),
    )


def _restart(problem: _Problem, state: _State, ritz: _Ritz) -> _State:
    """Keep the most wanted Ritz vectors; T is then diagonal but for their coupling to the next.

    Beside the `num` wanted stay as many as have converged, as in ARPACK, but at least a quarter
    and at most half of the rest. The quarter saves up to a third of the products where
    few are wanted, and costs at most 8 percent more than ARPACK where it costs.
    """
    rows, most = len(state.basis), problem.most_kept
    converged = ritz.residuals[: problem.num] <= problem.tolerance * state.scale
    extra = jnp.maximum((rows - problem.num) // 4, jnp.sum(converged))
    extra = jnp.where(state.explores, 0, extra)
    kept = jnp.minimum(problem.num + extra, most).astype(state.active.dtype)
    stays = jnp.arange(most) < kept
    survivors = _rotated(state.basis, jnp.where(stays[None], ritz.vectors[:, :most], 0))
    diagonal = jnp.zeros(rows, survivors.dtype).at[:most].set(ritz.values[:most])
    coupling = jnp.zeros_like(diagonal).at[:most].set(state.coupling @ ritz.vectors[:, :most])
    stays = jnp.arange(rows) < kept
    return state._replace(
        basis=jnp.zeros_like(state.basis).at[:most].set(survivors),
        projected=jnp.diag(jnp.where(stays, diagonal, 0)),
        coupling=jnp.where(stays, coupling, 0),
        active=kept,
        restarts=state.restarts + 1,
        is_tridiagonal=jnp.zeros_like(state.is_tridiagonal),
    )


def _rotated(basis: Float[Array, "m d"], weights: Float[Array, "m kept"]) -> Float[Array, "kept d"]:
    """Combinations of the rows, orthonormal or zero.

    Rotations lose half an eps of orthogonality each, and with it the values. A Newton step to the
    nearest orthonormal rows restores it.
    """
    rows = weights.T @ basis
    return 1.5 * rows - 0.5 * (rows @ rows.T) @ rows


def _open(problem: _Problem, state: _State, ritz: _Ritz) -> _State:
    """Go on from a random vector orthogonal to the basis.

    What couples the basis to the abandoned residual is dropped: rounding in an invariant space, at
    most the tolerance where only the wanted, converged vectors were kept.
    """
    key = jax.random.fold_in(jax.random.key(0), state.matvecs)
    fresh = jax.random.normal(key, state.vector.shape, state.vector.dtype)
    for _ in range(2):
        fresh = orthogonalise((state.basis,), fresh, state.active)
        fresh = fresh / norm(fresh)
    return state._replace(
        vector=fresh,
        dropped=state.dropped + norm(state.coupling),
        coupling=jnp.zeros_like(state.coupling),
        fresh_starts=state.fresh_starts + 1,
        since_fresh=jnp.zeros_like(state.since_fresh),
        before=ritz.values[: problem.num],
    )


def _ritz(which: Which, state: _State) -> _Ritz:
    """Eigenpairs of T, the most wanted first, and NaN beyond the active ones."""
    rows = len(state.basis)
    inside = jnp.arange(rows) < state.active
    scale = nonzero(state.scale)
    projected = jnp.where(inside[:, None] & inside[None], state.projected / scale, 0)
    projected = projected + _OUTSIDE * jnp.diag((~inside).astype(projected.dtype))
    values, vectors = jnp.linalg.eigh(projected)
    order = jnp.argsort(_ranks(which, values, state.active))
    residuals = jnp.abs(state.coupling @ vectors)
    values = jnp.where(inside, scale * values, jnp.nan)[order]
    return _Ritz(values, vectors[:, order], jnp.where(inside, residuals, jnp.nan)[order])


def _ranks(which: Which, values: Float[Array, " m"], active: Int[Array, ""]) -> Float[Array, " m"]:
    """How much each of the ascending values is wanted, lowest first; the inactive are last."""
    from_bottom = jnp.arange(values.size)
    from_top = active - 1 - from_bottom
    ranks = {
        "largest": lambda: from_top.astype(values.dtype),
        "smallest": lambda: from_bottom.astype(values.dtype),
        "magnitude": lambda: -jnp.abs(values),
        "both ends": lambda: jnp.minimum(2 * from_top, 2 * from_bottom + 1).astype(values.dtype),
    }[which]()
    return jnp.where(from_top >= 0, ranks, jnp.inf)


def _result(problem: _Problem, state: _State, check_residuals: bool) -> Eigenpairs:
    ritz = _ritz(problem.which, state)
    ascending = jnp.argsort(ritz.values[: problem.num])  # NaN last
    values = ritz.values[ascending]
    found = ~jnp.isnan(values)
    vectors = _rotated(state.basis, ritz.vectors[:, ascending])
    vectors = jnp.where(found[:, None], vectors, jnp.nan)
    bounds = ritz.residuals[ascending]
    true_residuals, matvecs = None, state.matvecs
    if check_residuals:
        values, true_residuals = jax.lax.map(
            functools.partial(_rayleigh, problem.operator), vectors
        )
        matvecs = matvecs + problem.num
    return Eigenpairs(
        values=values,
        vectors=vectors,
        residuals=bounds + state.dropped,
        true_residuals=true_residuals,
        converged=bounds <= problem.tolerance * state.scale,
        settled=state.settled,
        matvecs=matvecs,
        restarts=state.restarts,
        fresh_starts=state.fresh_starts,
        orthogonality=orthogonality(state.basis, state.active),
        scale=state.scale,
        asymmetry=state.asymmetry / nonzero(state.scale),
    )


def _rayleigh(
    operator: Operator, vector: Float[Array, " d"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Rayleigh quotient of a unit vector, and its residual."""
    product = operator.product(vector)
    value = vector @ product
    return value, norm(product - value * vector)
