"""Thick-restart Lanczos: many eigenpairs of a symmetric operator in bounded memory."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.checks import require_declared_symmetric
from hessdiag.spectra.gram_schmidt import nonzero, norm, orthogonality
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.restarted_basis import (
    Problem,
    Ritz,
    State,
    Which,
    extended,
    initial,
    opened,
    restarted,
    ritz_of,
    rotated,
)

ROOM = 64 * 2**20  # bytes of a basis that no one misses


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
    problem = Problem(
        operator, num, _most_kept(num, rows, operator.size), which, tolerance, explore
    )
    state = initial(problem, start, rows)

    def unfinished(state: State) -> Bool[Array, ""]:
        return (state.matvecs < max_matvecs) & ~(state.settled | state.failed)

    def step(state: State) -> State:
        state = extended(operator, state)
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


def _judge(problem: Problem, state: State) -> State:
    """Whether all is found; if not, make room in a full basis and leave an invariant space."""
    ritz = ritz_of(problem.which, state)
    state = _settle(problem, state, ritz)
    full = state.active == len(state.basis)
    state = jax.lax.cond(
        (full | state.explores) & ~state.settled,
        lambda s: restarted(problem, s, ritz),
        lambda s: s,
        state,
    )
    return jax.lax.cond(
        (state.invariant | state.explores) & ~state.settled,
        lambda s: opened(problem, s, ritz),
        lambda s: s,
        state,
    )


def _settle(problem: Problem, state: State, ritz: Ritz) -> State:
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


def _result(problem: Problem, state: State, check_residuals: bool) -> Eigenpairs:
    ritz = ritz_of(problem.which, state)
    ascending = jnp.argsort(ritz.values[: problem.num])  # NaN last
    values = ritz.values[ascending]
    found = ~jnp.isnan(values)
    vectors = rotated(state.basis, ritz.vectors[:, ascending])
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
