"""A small operator measured whole: its matrix by blocks of products, the rest by LAPACK."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hessdiag import spectra
from hessdiag.api.products import ROWS, Products
from hessdiag.spectra.ritz import RitzValues, with_rounding


class Dense(NamedTuple):
    """What a matrix says, exactly but for rounding.

    Attributes:
        run: All eigenvalues.
        block_traces: Of the diagonal blocks of the leaves, and their errors.
        vectors: Eigenvectors of the symmetric part, one a row; of zero where it is not finite.
        between, image: A unit vector between both ends, and its product.
    """

    run: RitzValues
    block_traces: tuple[np.ndarray, np.ndarray]
    vectors: Float[np.ndarray, "d d"]
    between: Float[np.ndarray, " d"]
    image: Float[np.ndarray, " d"]


def matrix_of(
    product: Products, size: int, dtype: np.dtype, spend: Callable[[int], None]
) -> Float[np.ndarray, "d d"]:
    """By blocks of equal shapes, the last of which may overlap the one before."""
    identity, count = np.eye(size, dtype=dtype), min(size, ROWS)
    matrix = np.empty_like(identity)
    for done in range(0, size, count):
        first = min(done, size - count)
        matrix[:, first : first + count] = np.asarray(
            product.rows(identity[first : first + count])
        ).T
        spend(min(count, size - done))
    return matrix


def measured(
    matrix: Float[np.ndarray, "d d"], offsets: np.ndarray, *, explained: float, noise: float
) -> Dense:
    """All of a matrix.

    Args:
        matrix: Of the operator.
        offsets: Where the leaves begin.
        explained: What products were seen to round, as `matrix_spectrum` takes it.
        noise: Error that it leaves in every eigenvalue.
    """
    wide, size = np.asarray(matrix, np.float64), len(matrix)
    run = spectrum_of(matrix, explained, noise)
    traces = np.add.reduceat(np.diag(wide), offsets)
    errors = run.errors[0] * np.diff([*offsets, size])
    if not np.isfinite(wide).all():
        wide = np.zeros_like(wide)
    vectors = np.linalg.eigh((wide + wide.T) / 2)[1].T
    between = (vectors[0] + vectors[-1]).astype(matrix.dtype)
    between /= matrix.dtype.type(np.linalg.norm(between))
    return Dense(run, (traces, errors), vectors, between, matrix @ between)


def spectrum_of(matrix: Float[np.ndarray, "d d"], explained: float, noise: float) -> RitzValues:
    """As `matrix_spectrum`; its errors hold what products of the whole operator round."""
    run = spectra.matrix_spectrum(matrix, noise=explained)
    skew = float(np.linalg.norm(matrix - matrix.T, 2)) / 2 if noise else 0.0
    return with_rounding(run, noise + skew)
