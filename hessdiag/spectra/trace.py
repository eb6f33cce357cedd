"""The trace of an operator from few products, with its standard error."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.operators import Operator


class TraceEstimate(NamedTuple):
    """An estimate of a trace.

    Attributes:
        estimate: The trace; NaN if a product was not finite.
        standard_error: Its standard error by the spread of the probes, and at least what the
            rounding of the products may leave.
        matvecs: Products spent.
    """

    estimate: Float[Array, ""]
    standard_error: Float[Array, ""]
    matvecs: Int[Array, ""] | int


_Rows = Float[Array, "rows d"]  # vectors are rows, as the bases of Lanczos


@jax.default_matmul_precision("highest")
def xtrace(operator: Operator, key: Key[Array, ""], *, num_matvecs: int) -> TraceEstimate:
    """Trace from probes that each take a turn as the one left out of the sketch.

    For every probe w_i, A is traced exactly on the range of the images of the other probes, with
    orthonormal basis Q_i, and w_i estimates the remainder, being independent of Q_i:

        tr(Q_i' A Q_i) + (d - s + 1) u' A u / u'u,   u = (I - Q_i Q_i') w_i,   s probes.

    The mean over i uses every product twice, and is the most accurate at equal cost where
    eigenvalues decay. The spread of the terms gives the standard error.

    A sketch whose rank is less than its number of probes leaves more than one direction to drop
    for probe i, all of them without influence on the trace. One is chosen by singular values with a
    floor, so that nothing is divided by rounding, and zero operators need no exception.

    Args:
        operator: A square map, symmetric or not.
        key: Key of the probes.
        num_matvecs: Products to spend, at least 4; an odd one is not spent.

    Returns:
        The estimate, unbiased. Its terms depend on each other, so that the standard error is
        somewhat too small: 1.1 to 1.4 times on the spectra tried.

    Raises:
        ValueError: If the operator is not square or `num_matvecs` is too small.

    References:
        Epperly, Tropp and Webber 2024, arXiv:2301.07825.
    """
    if _exact_is_cheaper(operator, num_matvecs):
        return _exact(operator)
    count = num_matvecs // 2
    probes = jax.random.normal(key, (count, operator.size), operator.dtype)
    images = _images(operator, probes)
    basis, coordinates = jnp.linalg.qr(images.T)
    basis = basis.T
    basis_images = _images(operator, basis)
    # Row i: the direction of the basis, in its coordinates, that only image i has a part in.
    dropped = _left_out_directions(coordinates)
    restricted = basis @ basis_images.T
    traces = jnp.trace(restricted) - _dots(dropped @ restricted, dropped)
    inside = probes @ basis.T
    inside = inside - _dots(inside, dropped)[:, None] * dropped
    outside = probes - inside @ basis
    outside_images = images - inside @ basis_images
    dimension = operator.size - count + 1
    remainders = dimension * _dots(outside, outside_images) / _dots(outside, outside)
    return _estimate(traces + remainders, images, 2 * count)


def _left_out_directions(coordinates: Float[Array, "s s"]) -> Float[Array, "s s"]:
    """Row i: a unit vector orthogonal to all columns of R but column i.

    That is row i of the inverse of R, with a floor under the singular values: below it they are
    rounding, and their directions have no part in any column.
    """
    left, values, right = jnp.linalg.svd(coordinates)
    relative = values / nonzero(values[0])
    inverse = 1 / jnp.maximum(relative, jnp.finfo(values.dtype).eps)
    rows = (right.T * inverse[None]) @ left.T
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def _images(operator: Operator, rows: _Rows) -> _Rows:
    """A applied to every row, one product at a time: memory is that of one product."""
    return jax.lax.map(operator.product, rows)


def _dots(left: _Rows, right: _Rows) -> Float[Array, " rows"]:
    return jnp.sum(left * right, axis=1)


def _estimate(terms: Float[Array, " terms"], images: _Rows, matvecs: int) -> TraceEstimate:
    """Mean of the terms, with the error of their spread and of rounding.

    The root mean square length of the images of random vectors estimates |A|_F.
    """
    count, size = terms.size, images.shape[1]
    deviations = terms - jnp.mean(terms)
    sampling = norm(deviations) / (count * (count - 1)) ** 0.5
    frobenius = norm(images) / len(images) ** 0.5
    return TraceEstimate(
        estimate=jnp.mean(terms),
        standard_error=jnp.maximum(sampling, _rounding(frobenius, size)),
        matvecs=matvecs,
    )


def _exact(operator: Operator) -> TraceEstimate:
    """The sum of the diagonal, by d products."""

    def entry_and_length(i: Int[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        column = operator.product(jnp.zeros(operator.size, operator.dtype).at[i].set(1))
        return column[i], norm(column)

    entries, lengths = jax.lax.map(entry_and_length, jnp.arange(operator.size))
    return TraceEstimate(
        estimate=jnp.sum(entries),
        standard_error=_rounding(norm(lengths), operator.size),
        matvecs=operator.size,
    )


def _exact_is_cheaper(operator: Operator, num_matvecs: int) -> bool:
    """Whether the budget pays for the exact trace; refuses what has none, or too small a budget."""
    if not operator.is_square:
        raise ValueError(
            f"a trace needs a square operator, got one from {operator.domain.size} entries "
            f"to {operator.codomain.size}"
        )
    if num_matvecs >= operator.size:
        return True
    if num_matvecs < 4:
        raise ValueError(f"an estimate with an error needs 4 products, got {num_matvecs}")
    return False


def _rounding(frobenius: Float[Array, ""], size: int) -> Float[Array, ""]:
    """What rounding may leave: the sum of d products' errors, each relative to its length."""
    return jnp.finfo(frobenius.dtype).eps * size**0.5 * frobenius
