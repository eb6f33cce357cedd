"""Lanczos tridiagonalisation with full reorthogonalisation, early stop and breakdown guard."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hessdiag.spectra.checks import NonSymmetricOperatorError
from hessdiag.spectra.operators import Operator

BREAKDOWN = 1.0
"""A residual of at most this many eps sqrt(d) |A| is rounding: the Krylov space is invariant."""

_BLOCK = 16  # basis rows per buffer: what Gram-Schmidt skips or reads, and a cache holds
_NO_CANCELLATION = 0.7  # a pass that leaves this part of the vector was accurate, about 1 / sqrt(2)

_CLEAR = 100.0  # couplings of so many roundings tell the asymmetry of the operator

_Blocks = tuple[Float[Array, "block d"], ...]  # separate buffers, because XLA copies slices


class LanczosDecomposition(NamedTuple):
    """A Q' = Q' T + r e', with T tridiagonal; only the first `active` entries mean anything.

    Attributes:
        alpha: Diagonal of T, zero beyond `active`.
        beta: Couplings of T; `beta[k]` joins steps k and k + 1, and the last active one is the norm
            of the residual r. Zero beyond `active`.
        active: Number of valid steps, which is the number of products spent.
        orthogonality: Largest entry of |Q Q' - I| over the active rows.
        scale: Largest |A q| met, a lower estimate of the operator norm.
        converged: Both extreme Ritz values met the tolerance, or the space is invariant.
        broke_down: The space became invariant: T holds eigenvalues, but only those that the start
            vector contains, and each once.
        asymmetry: Largest |q_{k-1}' A q_k - q_k' A q_{k-1}| over the run, relative to `scale`:
            rounding for a symmetric A, and `ritz_values` refuses more.
        basis: The rows q of Q, zero beyond `active`; None unless it was asked for.
    """

    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    active: Int[Array, ""]
    orthogonality: Float[Array, ""]
    scale: Float[Array, ""]
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    asymmetry: Float[Array, ""]
    basis: Float[Array, "cap d"] | None = None


class _State(NamedTuple):
    basis: _Blocks  # finished rows, then zeros
    previous: Float[Array, " d"]  # last finished row
    vector: Float[Array, " d"]  # next row, of unit length
    alpha: Float[Array, " cap"]
    beta: Float[Array, " cap"]
    active: Int[Array, ""]
    scale: Float[Array, ""]
    asymmetry: Float[Array, ""]  # in the operator's units
    converged: Bool[Array, ""]
    broke_down: Bool[Array, ""]
    failed: Bool[Array, ""]  # a product was not finite


@jax.default_matmul_precision("highest")
def lanczos(
    operator: Operator,
    start: Float[Array, " d"],
    *,
    max_matvecs: int,
    tolerance: float,
    check_every: int = 4,
    keep_basis: bool = False,
) -> LanczosDecomposition:
    """Tridiagonalise a symmetric operator until both ends of its spectrum have converged.

    Stops when the residual bounds beta |s| of the lowest and the highest Ritz value are below
    `tolerance * scale`, when the Krylov space is invariant, or after `max_matvecs` products. Run it
    on the Hessian itself and shift the values afterwards: the Krylov space of I - alpha A is the
    same, but adding the identity destroys the digits of a small alpha A.

    Works under jit, vmap and `jax.lax.map`. A product that is not finite ends the run with
    `converged` false and NaN in T; so does a zero start vector.

    Args:
        operator: The symmetric map A. Build it before the call, under the same jit: its
            linearisation then stays outside the loop.
        start: Start vector of any length but zero, in the operator's dtype.
        max_matvecs: Upper limit on products, clipped to d.
        tolerance: Residual bound to reach, relative to |A|. Below 10 eps of the dtype it buys no
            digits that the products have. Zero spends all products, as a density wants.
        check_every: Steps between tests of convergence. A test costs an eigendecomposition of size
            `max_matvecs`; 4 steps waste two products on average.
        keep_basis: Return Q as well, `max_matvecs * d` numbers.

    Returns:
        The decomposition, with `cap = min(max_matvecs, d)`.

    Raises:
        NonSymmetricOperatorError: If the operator is not declared symmetric. Whether a declared
            one is, the run measures (`asymmetry`).

    References:
        Golub and Van Loan 2013, Matrix Computations, sections 10.1 and 10.3. Daniel, Gragg, Kaufman
        and Stewart 1976, Mathematics of Computation 30, for two passes being enough.
    """
    if not operator.is_symmetric:
        raise NonSymmetricOperatorError(
            "the operator is not declared symmetric: symmetric Lanczos would return numbers that "
            "are not its eigenvalues; use Arnoldi or Golub-Kahan"
        )
    cap = min(max_matvecs, operator.size)
    state = _initial(operator, start, cap)

    def unfinished(state: _State) -> Bool[Array, ""]:
        return (state.active < cap) & ~(state.converged | state.broke_down | state.failed)

    def step(state: _State) -> _State:
        state = _step(operator, state)
        due = ((state.active % check_every == 0) | (state.active == cap)) & ~state.failed
        never = jnp.array(jnp.inf, operator.dtype)
        reached = jax.lax.cond(due, _largest_end_residual, lambda _: never, state)
        return state._replace(converged=state.broke_down | (reached < tolerance))

    state = jax.lax.while_loop(unfinished, step, state)
    basis = jnp.concatenate(state.basis)[:cap]
    return LanczosDecomposition(
        alpha=state.alpha,
        beta=state.beta,
        active=state.active,
        orthogonality=_orthogonality(basis, state.active),
        scale=state.scale,
        converged=state.converged,
        broke_down=state.broke_down,
        asymmetry=state.asymmetry / jnp.where(state.scale == 0, 1, state.scale),
        basis=basis if keep_basis else None,
    )


def _initial(operator: Operator, start: Float[Array, " d"], cap: int) -> _State:
    start = start.astype(operator.dtype)
    zero = jnp.zeros((), operator.dtype)
    false = jnp.zeros((), bool)
    return _State(
        basis=(jnp.zeros((_BLOCK, operator.size), operator.dtype),) * -(-cap // _BLOCK),
        previous=jnp.zeros_like(start),
        vector=start / _norm(start),
        alpha=jnp.zeros(cap, operator.dtype),
        beta=jnp.zeros(cap, operator.dtype),
        active=jnp.zeros((), jnp.int32),
        scale=zero,
        asymmetry=zero,
        converged=false,
        broke_down=false,
        failed=false,
    )


def _step(operator: Operator, state: _State) -> _State:
    """One product, one row of T, one more basis vector."""
    k, vector = state.active, state.vector
    basis = _append(state.basis, vector, k)
    product = operator.product(vector)
    scale = jnp.maximum(state.scale, _norm(product))
    alpha = vector @ product
    coupling = jnp.where(k > 0, state.beta[k - 1], 0)
    residual = product - alpha * vector - coupling * state.previous
    residual = _orthogonalise(basis, residual, k + 1)
    beta = _norm(residual)
    rounding = BREAKDOWN * jnp.finfo(operator.dtype).eps * operator.size**0.5 * scale
    # Where the coupling is nearly rounding, the vector is, too, and so is its difference.
    clear = coupling > _CLEAR * rounding
    difference = jnp.where(clear, jnp.abs(state.previous @ product - coupling), 0)
    broke_down = (beta <= rounding) | (k + 1 == operator.size)
    failed = ~jnp.isfinite(alpha + beta)
    return state._replace(
        basis=basis,
        previous=vector,
        vector=residual / jnp.where(broke_down, 1, beta),
        alpha=state.alpha.at[k].set(alpha),
        beta=state.beta.at[k].set(beta),
        active=k + 1,
        scale=scale,
        asymmetry=jnp.maximum(state.asymmetry, difference),
        broke_down=broke_down & ~failed,
        failed=failed,
    )


def _append(basis: _Blocks, vector: Float[Array, " d"], k: Int[Array, ""]) -> _Blocks:
    """Write row k, in place."""

    def write(block: Float[Array, "block d"], first: int) -> Float[Array, "block d"]:
        inside = (k >= first) & (k < first + _BLOCK)
        return block.at[jnp.where(inside, k - first, _BLOCK)].set(vector, mode="drop")

    return tuple(write(block, _BLOCK * i) for i, block in enumerate(basis))


def _orthogonalise(
    basis: _Blocks, vector: Float[Array, " d"], active: Int[Array, ""]
) -> Float[Array, " d"]:
    """Remove the active rows from the vector by Gram-Schmidt, twice where it matters.

    One pass leaves eps |before| / |after| of the rows behind, so the second is run only if the
    first took away a good part of the vector (the criterion of Daniel et al. 1976, as in ARPACK).
    """
    once = _remove_rows(basis, vector, active)
    return jax.lax.cond(
        _norm(once) > _NO_CANCELLATION * _norm(vector),
        lambda: once,
        lambda: _remove_rows(basis, once, active),
    )


def _remove_rows(
    basis: _Blocks, vector: Float[Array, " d"], active: Int[Array, ""]
) -> Float[Array, " d"]:
    """One Gram-Schmidt pass: classical within a block, modified between the blocks."""
    for i, block in enumerate(basis):
        vector = jax.lax.cond(
            active > _BLOCK * i,
            lambda vector, block: vector - (block @ vector) @ block,
            lambda vector, _: vector,
            vector,
            block,
        )
    return vector


def _largest_end_residual(state: _State) -> Float[Array, ""]:
    """Larger of the residual bounds of the two extreme Ritz values, relative to the scale.

    The inactive part of T is filled with 4, above every Ritz value (Gershgorin: at most 3 in units
    of the scale), so that it can neither mix with an active eigenvector nor pass for an end.
    """
    steps = jnp.arange(state.alpha.size)
    scale = jnp.where(state.scale == 0, 1, state.scale)
    diagonal = jnp.where(steps < state.active, state.alpha / scale, 4)
    coupling = jnp.where(steps < state.active - 1, state.beta / scale, 0)[:-1]
    tridiagonal = jnp.diag(diagonal) + jnp.diag(coupling, 1) + jnp.diag(coupling, -1)
    _, vectors = jnp.linalg.eigh(tridiagonal)
    last = state.active - 1
    ends = jnp.abs(vectors[last, jnp.stack([jnp.zeros_like(last), last])])
    return state.beta[last] / scale * jnp.max(ends)


def _orthogonality(basis: Float[Array, "cap d"], active: Int[Array, ""]) -> Float[Array, ""]:
    identity = jnp.diag((jnp.arange(basis.shape[0]) < active).astype(basis.dtype))
    return jnp.max(jnp.abs(basis @ basis.T - identity))


def _norm(vector: Float[Array, " d"]) -> Float[Array, ""]:
    """Euclidean norm whose squares neither underflow nor overflow."""
    largest = jnp.max(jnp.abs(vector))
    safe = jnp.where(largest == 0, 1, largest)
    return safe * jnp.linalg.norm(vector / safe)
