"""Whether an operator is what it says: symmetric, deterministic, the transpose of its transpose."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, DTypeLike, Key, PyTree

from hessdiag.spectra.gram_schmidt import nonzero
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar, Vector

SYMMETRY_LIMIT = 50.0
"""Largest symmetry defect that passes for rounding, in units of eps of the matvec's dtype.

Rounding alone gives 0.01 to 1 eps for a pair of vectors, and 1 to 10 eps for all pairs of a run: an
exact Hessian of a small network 0.05 eps, a rank-one matrix up to 1 eps. The defect of a matrix
with relative asymmetry a = |A - A'|_F / |A|_F is about a / (2 sqrt(d)) for a pair, so that the
limit must not grow with d before sums of d terms round more (`symmetry_limit`).
"""

NOISE_SHARE = 2.0
"""A defect of up to so many times sqrt(m) what a product rounds is explained by that, in m steps.

Were all rounding in the Krylov space, the defect of all pairs would be sqrt(m) of it.
"""

NOISE_LIMIT = 0.1
"""Most that a product may round, relative to its norm: beyond it no digit is left."""

_LONG = 1e5  # terms of a sum from which on it rounds more than a few eps


def symmetry_limit(dtype: DTypeLike, size: int = 1) -> float:
    """Largest symmetry defect that passes for rounding, of an operator of this size."""
    return SYMMETRY_LIMIT * max(1.0, (size / _LONG) ** 0.5) * float(jnp.finfo(dtype).eps)


class NonSymmetricOperatorError(ValueError):
    """A symmetric method was asked for the spectrum of an operator that is not symmetric."""


class NoisyOperatorError(ValueError):
    """A spectrum was asked for of products that are mostly noise."""


def symmetry_defect(operator: Operator, key: Key[Array, ""]) -> Scalar:
    """Relative asymmetry |u'Av - v'Au| / (|Av||u| + |Au||v|) of a square A for Gaussian u and v.

    Costs two products. Free of the operator's scale, at most 1, 0 for the zero operator, and NaN if
    a product is.
    """
    return _defect(operator, operator, key)


def transpose_defect(operator: Operator, key: Key[Array, ""]) -> Scalar:
    """Relative distance |u'(Av) - v'(A'u)| / (|Av||u| + |A'u||v|) for Gaussian u and v.

    Costs one product and one of the transpose. Rounding leaves a few eps. NaN if a product is.
    """
    return _defect(operator, operator.T, key)


def repeats(function: Callable[..., PyTree[Array]], *operands: PyTree[Array]) -> bool:
    """Whether a function gives the same when it runs again, and when it is traced again.

    The same to the last bit on a CPU. Accelerators add in any order and choose among algorithms
    whenever they compile: there, differences up to sqrt(eps) of the largest entry are rounding.
    NaN equals NaN here.

    A loss that draws fresh randomness or a fresh batch, at every call or whenever Python executes
    it, is another loss in every compiled program: its products are no linear map, and Krylov
    spaces of them mean nothing. To test an operator, let the function build it and multiply. It is
    compiled twice; but one that is jitted already is traced only once, here as elsewhere.
    """
    return repeat_check(function)(*operands)


def repeat_check(function: Callable[..., PyTree[Array]]) -> Callable[..., bool]:
    """`repeats` for many operands, by three runs each: operands -> whether all results are one.

    The two programs are kept, and traced again for new shapes only. What a trace drew is in its
    program for good: the programs of a loss that draws differ at every later operand, so that none
    passes because it was another one's turn.
    """
    first, second = (jax.jit(lambda *at: function(*at)) for _ in range(2))

    def check(*operands: PyTree[Array]) -> bool:
        result = first(*operands)
        return _same(result, first(*operands)) and _same(result, second(*operands))

    return check


def require_symmetric(
    defect: float | Scalar,
    dtype: DTypeLike,
    *,
    magnified: float = 1.0,
    size: int = 1,
    noise: float | Scalar = -1.0,
    steps: int = 1,
) -> None:
    """Refuse an operator whose measured symmetry defect, concrete, is more than rounding.

    The numbers that its products round, in the dtype, may be `magnified` times larger than it. A
    NaN defect passes: it measured no asymmetry, and the methods return NaN, not converged.

    Args:
        defect: Relative to the norm.
        dtype: Of the products.
        magnified: How much larger than A the numbers are that its products round.
        size: d, which makes sums round.
        noise: What a product rounds, relative to the norm, where that was measured: a defect that
            this explains is in the errors. Negative where it was not.
        steps: Of the run that measured the defect.

    Raises:
        NonSymmetricOperatorError: If the defect exceeds `SYMMETRY_LIMIT` eps of those numbers.
        NoisyOperatorError: If products round by more than `NOISE_LIMIT`.
    """
    factor, noise = max(1.0, magnified), float(noise)
    limit = factor * symmetry_limit(dtype, size)
    if not float(defect) > limit:
        return
    if noise > NOISE_LIMIT:
        raise NoisyOperatorError(
            f"products round by {noise:.1e} of their norm, where {NOISE_LIMIT:.0e} is allowed: "
            "fix what is random, or compute in wider numbers"
        )
    if float(defect) > NOISE_SHARE * steps**0.5 * noise:
        eps = float(jnp.finfo(dtype).eps)
        raise NonSymmetricOperatorError(
            f"symmetry defect {float(defect):.1e} exceeds {limit:.1e} "
            f"({limit / eps:.3g} eps of {np.dtype(dtype).name}): symmetric Lanczos would return "
            "numbers that are not eigenvalues of this operator"
        )


def require_not_negative(number: Any, name: str) -> None:
    """Refuse a number, where it is concrete, that is negative, infinite or NaN; ValueError."""
    try:
        is_allowed = 0 <= float(number) < np.inf
    except jax.errors.ConcretizationTypeError:
        return
    if not is_allowed:
        raise ValueError(f"{name} = {number}; allowed: finite numbers from 0 on")


def require_whole(number: Any, name: str) -> None:
    """Refuse what is no whole number; ValueError."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise ValueError(f"{name} = {number!r}; allowed: whole numbers")


def require_floating(array: Array | np.ndarray, name: str) -> None:
    """Refuse what is no vector of real floating numbers; ValueError."""
    if array.ndim != 1 or not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; allowed: vectors (d,) of "
            "real floating numbers"
        )


def require_declared_symmetric(operator: Operator) -> None:
    """Refuse an operator that is not declared symmetric.

    Raises:
        NonSymmetricOperatorError: If it is not. The message gives the defect that two products
            measure, unless they are those of a program that is just being traced.
    """
    if not operator.is_symmetric:
        raise NonSymmetricOperatorError(
            f"the operator is not declared symmetric ({_measured(operator)}): a symmetric method "
            "would return numbers that are not its eigenvalues; use `arnoldi`"
        )


def _measured(operator: Operator) -> str:
    """How far from symmetric an operator is, in words."""
    if not operator.is_square:
        return f"it maps {operator.domain.size} numbers to {operator.codomain.size}"
    try:
        defect = float(symmetry_defect(operator, jax.random.key(0)))
    except jax.errors.ConcretizationTypeError:
        return "`symmetry_defect` measures it outside jit"
    rounding = SYMMETRY_LIMIT * float(np.finfo(operator.dtype).eps)
    if defect <= rounding:
        return f"its symmetry defect, {defect:.1e}, is rounding: declare it by `symmetric`"
    return f"its symmetry defect is {defect:.1e}, where rounding leaves {rounding:.1e}"


def _same(first: PyTree[Array], second: PyTree[Array]) -> bool:
    exact = jax.default_backend() == "cpu"

    def equal(a, b):
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            return jnp.array_equal(a, b)
        if exact:
            return jnp.array_equal(a, b, equal_nan=True)
        largest = jnp.max(jnp.abs(a), initial=0, where=jnp.isfinite(a))
        allowed = largest * jnp.finfo(a.dtype).eps ** 0.5
        return jnp.allclose(a, b, rtol=0, atol=allowed, equal_nan=True)

    return all(map(bool, jax.tree.leaves(jax.tree.map(equal, first, second))))


def _defect(operator: Operator, transpose: Operator, key: Key[Array, ""]) -> Scalar:
    """|u'A v - v'B u| / (|A v| + |B u|) for random unit u and v, with B the claimed transpose."""
    key_u, key_v = jax.random.split(key)
    u, v = _random_unit(transpose, key_u), _random_unit(operator, key_v)
    a_v, b_u = operator.product(v), transpose.product(u)
    scale = jnp.maximum(jnp.max(jnp.abs(b_u)), jnp.max(jnp.abs(a_v)))
    scale = nonzero(scale)  # squares of tiny products would underflow
    a_v, b_u = a_v / scale, b_u / scale
    with jax.default_matmul_precision("highest"):
        difference = jnp.abs(u @ a_v - v @ b_u)
    return difference / nonzero(jnp.linalg.norm(b_u) + jnp.linalg.norm(a_v))


def _random_unit(operator: Operator, key: Key[Array, ""]) -> Vector:
    vector = jax.random.normal(key, (operator.size,), operator.dtype)
    return vector / jnp.linalg.norm(vector)
