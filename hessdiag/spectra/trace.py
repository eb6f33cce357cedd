"""The trace of an operator from few products, with an error whose coverage is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.intervals import student
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar

CHANCE = 0.05
"""Squared cosine that one pair of images may lack by chance: it bounds the degrees of freedom."""


class TraceEstimate(NamedTuple):
    """An estimate of a trace."""

    estimate: Scalar  # NaN if a product was not finite
    standard_error: Scalar  # of the sampling; zero where all d products were made
    degrees: Scalar  # of freedom, of the standard error
    rounding: Scalar  # what the products' rounding may leave besides
    matvecs: Int[Array, ""] | int  # products spent

    @property
    def half_width(self) -> np.ndarray:
        """Of the 95 % confidence interval; on the host."""
        return student(self.standard_error, self.degrees) + np.asarray(self.rounding)


@jax.default_matmul_precision("highest")
def sketched_trace(operator: Operator, key: Key[Array, ""], *, num_matvecs: int) -> TraceEstimate:
    """Trace from a sketch of the range of A, and random vectors for what the sketch leaves.

    A third of the products finds Q, an orthonormal basis of images of Gaussian vectors; a third
    traces A on it; the rest are u' A u of random unit vectors u orthogonal to Q:

        tr(Q' A Q) + (d - k) mean u' A u,   k columns of Q.

    The estimate is unbiased. Given Q its terms are independent, and of a symmetric A the variance
    of one is exactly 2 (d - k) times the expectation of |r|², r = A u - (u' A u) u without its part
    in Q, so that every product measures the variance, not their spread alone. The degrees of
    freedom are Satterthwaite's: the number of vectors u times the effective rank of what is left,
    (tr B²)² / tr B⁴, by the angles between the vectors r: one where a single direction dominates.
    Where A is not symmetric, the variance is overestimated.

    Where `num_matvecs` pay for all d products, the trace is exact.

    Raises:
        ValueError: If the operator is not square, or `num_matvecs` below 4 and d.

    References:
        Meyer, Musco, Musco and Woodruff 2021, arXiv:2010.09649, for the sketch (Hutch++).
    """
    if not operator.is_square:
        raise ValueError(
            f"a trace needs a square operator, got one from {operator.domain.size} entries "
            f"to {operator.codomain.size}"
        )
    if num_matvecs >= operator.size:
        return _exact(operator)
    if num_matvecs < 4:
        raise ValueError(f"an estimate with an error needs 4 products, got {num_matvecs}")
    rank = num_matvecs // 3
    count, dimension = num_matvecs - 2 * rank, operator.size - rank
    gaussian = jax.random.normal(key, (rank + count, operator.size), operator.dtype)
    # One product at a time: memory is that of one product.
    images = jax.lax.map(operator.product, gaussian[:rank])
    basis = jnp.linalg.qr(images.T)[0].T
    probes = _outside(basis, _outside(basis, gaussian[rank:]))
    probes = probes / jnp.linalg.norm(probes, axis=1, keepdims=True)
    both = jnp.concatenate([basis, probes])
    products = jax.lax.map(operator.product, both)
    forms = jnp.sum(both * products, axis=1)
    residuals = _outside(basis, products[rank:] - forms[rank:, None] * probes)
    error, degrees = _sampling(residuals, dimension)
    frobenius = norm(images) / rank**0.5  # root mean square length of images of random vectors
    return TraceEstimate(
        estimate=jnp.sum(forms[:rank]) + dimension * jnp.mean(forms[rank:]),
        standard_error=error,
        degrees=degrees,
        rounding=_rounding(frobenius, operator.size),
        matvecs=num_matvecs,
    )


def _outside(basis: Float[Array, "k d"], rows: Float[Array, "q d"]) -> Float[Array, "q d"]:
    """The rows without their parts in the basis."""
    return rows - (rows @ basis.T) @ basis


def _sampling(residuals: Float[Array, "q d"], dimension: int) -> tuple[Scalar, Scalar]:
    """Standard error of the mean over the vectors u, and its degrees of freedom."""
    count, unit = len(residuals), nonzero(norm(residuals))  # squares neither vanish nor overflow
    gram = (residuals / unit) @ (residuals / unit).T
    squares = jnp.diag(gram)
    pairs = jnp.sum(squares) ** 2 - jnp.sum(squares**2)
    cosines = (jnp.sum(gram**2) - jnp.sum(squares**2)) / nonzero(pairs)  # mean square
    cosines = jnp.where(pairs > 0, jnp.clip(cosines, 0, 1), 1)
    least = CHANCE / (count * (count - 1) / 2)
    error = unit * jnp.sqrt(2 * dimension / count * jnp.mean(squares))
    return error, count / (cosines + least * (1 - cosines))


def _exact(operator: Operator) -> TraceEstimate:
    """The sum of the diagonal, by d products."""

    def entry_and_length(i):
        column = operator.product(jnp.zeros(operator.size, operator.dtype).at[i].set(1))
        return column[i], norm(column)

    entries, lengths = jax.lax.map(entry_and_length, jnp.arange(operator.size))
    rounding = _rounding(norm(lengths), operator.size)
    none = jnp.where(jnp.isnan(rounding), rounding, 0)
    return TraceEstimate(jnp.sum(entries), none, none + jnp.inf, rounding, operator.size)


def _rounding(frobenius: Scalar, size: int) -> Scalar:
    """What rounding may leave: the sum of d products' errors, each relative to its length.

    Entries below the smallest normal number may be taken for zero.
    """
    limits = jnp.finfo(frobenius.dtype)
    return limits.eps * size**0.5 * frobenius + size * limits.tiny
