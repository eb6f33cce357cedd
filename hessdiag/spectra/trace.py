"""The trace of an operator from few products, with its standard error."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hessdiag.spectra.gram_schmidt import nonzero, norm
from hessdiag.spectra.operators import Operator
from hessdiag.spectra.spaces import Scalar


class TraceEstimate(NamedTuple):
    """An estimate of a trace."""

    estimate: Scalar  # NaN if a product was not finite
    standard_error: Scalar  # by the spread of the probes, and at least what rounding may leave
    matvecs: Int[Array, ""] | int  # products spent


@jax.default_matmul_precision("highest")
def xtrace(operator: Operator, key: Key[Array, ""], *, num_matvecs: int) -> TraceEstimate:
    """Trace from probes that each take a turn as the one left out of the sketch.

    For every probe w_i, A is traced exactly on the range of the images of the other probes, with
    orthonormal basis Q_i, and w_i estimates the remainder, being independent of Q_i:

        tr(Q_i' A Q_i) + (d - s + 1) u' A u / u'u,   u = (I - Q_i Q_i') w_i,   s probes.

    The mean over i uses every product twice, and is the most accurate at equal cost where
    eigenvalues decay. The spread of the terms gives the standard error. A sketch of lower rank than
    its number of probes leaves several directions to drop for probe i, none of which matters to the
    trace: singular values with a floor choose one, and nothing is divided by rounding.

    The operator may be symmetric or not, and an odd product is not spent. The estimate is unbiased.
    Its terms depend on each other, so that the standard error is somewhat too small: 1.1 to 1.4
    times on the spectra tried. Where `num_matvecs` pay for all d products, the trace is exact.

    Raises:
        ValueError: If the operator is not square, or `num_matvecs` below 4 and d.

    References:
        Epperly, Tropp and Webber 2024, arXiv:2301.07825.
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
    count = num_matvecs // 2
    probes = jax.random.normal(key, (count, operator.size), operator.dtype)
    images = jax.lax.map(operator.product, probes)  # one at a time: memory is that of one product
    columns, coordinates = jnp.linalg.qr(images.T)
    basis = columns.T
    basis_images = jax.lax.map(operator.product, basis)
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
    terms = traces + remainders
    sampling = norm(terms - jnp.mean(terms)) / (count * (count - 1)) ** 0.5
    frobenius = norm(images) / count**0.5  # root mean square length of images of random vectors
    error = jnp.maximum(sampling, _rounding(frobenius, operator.size))
    return TraceEstimate(jnp.mean(terms), error, 2 * count)


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


def _dots(left: Float[Array, "rows d"], right: Float[Array, "rows d"]) -> Float[Array, " rows"]:
    return jnp.sum(left * right, axis=1)


def _exact(operator: Operator) -> TraceEstimate:
    """The sum of the diagonal, by d products."""

    def entry_and_length(i):
        column = operator.product(jnp.zeros(operator.size, operator.dtype).at[i].set(1))
        return column[i], norm(column)

    entries, lengths = jax.lax.map(entry_and_length, jnp.arange(operator.size))
    error = _rounding(norm(lengths), operator.size)
    return TraceEstimate(jnp.sum(entries), error, operator.size)


def _rounding(frobenius: Scalar, size: int) -> Scalar:
    """What rounding may leave: the sum of d products' errors, each relative to its length."""
    return jnp.finfo(frobenius.dtype).eps * size**0.5 * frobenius
