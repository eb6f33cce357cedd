"""A small operator measured whole: its matrix by blocks of products, the rest by LAPACK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hessdiag import spectra
from hessdiag.api.products import ROWS
from hessdiag.spectra.dense import matrix_defect
from hessdiag.spectra.ritz import RitzValues, with_rounding

if TYPE_CHECKING:
    from hessdiag.api.measurement import Measurement


def measure_dense(of: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """All that the plan asks for, exactly; and a vector between both ends, with its product."""
    matrix = _matrix(of)
    wide = np.asarray(matrix, np.float64)
    of.doubt(matrix_defect(wide))
    noise = of.noise * float(np.linalg.norm(matrix, 2)) if of.noise else 0.0
    run = _spectrum(matrix, of.explained, noise)
    of.runs.append(run)
    of.trace = float(np.sum(run.values)), float(np.sum(run.errors))
    of.blocks = (
        np.add.reduceat(np.diag(matrix).astype(np.float64), of.offsets),
        run.errors[0] * (np.diff([*of.offsets, of.size])),
    )
    if not np.isfinite(wide).all():
        wide = np.zeros_like(wide)
    vectors = np.linalg.eigh((wide + wide.T) / 2)[1].T
    if of.plan.top:
        of.keep_largest(run.values, run.errors, np.isfinite(run.values), vectors)
    if of.plan.per_leaf:
        for first, last in zip(of.offsets, [*of.offsets[1:], of.size], strict=True):
            block = _spectrum(matrix[first:last, first:last], of.explained, noise)
            of.leaf_ends.append(spectra.extremes([block]))
    between = (vectors[0] + vectors[-1]).astype(of.dtype)
    between /= of.dtype.type(np.linalg.norm(between))
    return between, matrix @ between


def _matrix(of: Measurement) -> np.ndarray:
    """By blocks of equal shapes, the last of which may overlap the one before."""
    identity, count = np.eye(of.size, dtype=of.dtype), min(of.size, ROWS)
    matrix = np.empty_like(identity)
    for done in range(0, of.size, count):
        first = min(done, of.size - count)
        matrix[:, first : first + count] = np.asarray(
            of.product.rows(identity[first : first + count])
        ).T
        of.spend("matrix", min(count, of.size - done))
    return matrix


def _spectrum(matrix: np.ndarray, explained: float, noise: float) -> RitzValues:
    """As `matrix_spectrum`; its errors hold what products of the whole operator round."""
    run = spectra.matrix_spectrum(matrix, noise=explained)
    skew = float(np.linalg.norm(matrix - matrix.T, 2)) / 2 if noise else 0.0
    return with_rounding(run, noise + skew)
