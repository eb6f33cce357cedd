"""Many eigenpairs of a symmetric map in bounded memory: ARPACK, with errors of our own."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from hessdiag.spectra.accuracy import rounding_error
from hessdiag.spectra.checks import (
    require_floating,
    require_not_negative,
    require_symmetric,
    require_whole,
)
from hessdiag.spectra.dots import dot, length
from hessdiag.spectra.explored import larger_beside
from hessdiag.spectra.spaces import Vector

_ROWS = 20  # of the basis at least, as in SciPy


@dataclasses.dataclass(frozen=True)
class Eigenpairs:
    """Eigenpairs of one run, ascending: some eigenvalue lies within its error of each value."""

    values: Float[np.ndarray, " num"]  # Rayleigh quotients; NaN beyond those that were found
    vectors: Float[np.ndarray, "num d"]  # of unit length, one a row
    errors: Float[np.ndarray, " num"]  # |A v - theta v|, one more product each, or rounding if more
    converged: Bool[np.ndarray, " num"]  # residuals met twice the tolerance, or are rounding
    matvecs: int  # products spent, those of the errors included
    orthogonality: float  # |V V' - I|; beyond sqrt(eps) values may be counted twice
    rounding: float  # error that rounding alone leaves in any value


def eigenpairs(
    product: Callable[[Any], Array | np.ndarray],
    start: Vector | Float[np.ndarray, " d"],
    *,
    num: int,
    max_matvecs: int,
    tolerance: float,
    noise: float = 0.0,
) -> Eigenpairs:
    """Eigenpairs of largest magnitude of a symmetric map, by implicitly restarted Lanczos.

    The basis has max(2 num + 1, 20) vectors on the host. A Krylov space holds each eigenvalue once,
    and its start may hide some: a second start explores what is orthogonal to the pairs found, and
    a larger one replaces the least, until none is there (`explored`). All pairs are NaN if a
    product was not finite, or the start zero.

    Args:
        product: v -> A v on flat vectors in the dtype of `start`; compile it. Its symmetry is
            measured: every two products that follow each other must agree on u'A v.
        start: Start vector of any length but zero.
        num: Pairs wanted, fewer than d.
        max_matvecs: About where to stop; num + 1 are spent in any case, and some 10 to 40 to
            explore.
        tolerance: Residual to reach, relative to the eigenvalue.
        noise: What a product rounds, relative to the norm, where that is known to be more than a
            few eps (`Extremes.noise`).

    Raises:
        NonSymmetricOperatorError: If the products measured more asymmetry than rounding.
        ValueError: If `num` does not fit into d, `num` or `max_matvecs` is not whole, `start` or a
            product is no vector of real numbers, or `tolerance` is negative or NaN.

    References:
        Lehoucq, Sorensen and Yang 1998, ARPACK users' guide. Parlett 1998, The Symmetric Eigenvalue
        Problem, section 4.5, for the errors.
    """
    start = np.asarray(start)
    require_floating(start, "start")
    require_not_negative(tolerance, "tolerance")
    for name, number in (("num", num), ("max_matvecs", max_matvecs)):
        require_whole(number, name)
    if not 1 <= num < start.size:
        raise ValueError(f"num = {num} pairs of an operator of size {start.size}")
    products = _Products(product, start)
    vectors = np.empty((0, start.size), start.dtype)
    if products.unit == 0 and start.any():  # the zero operator, of which ARPACK makes nothing
        vectors = np.eye(num, start.size, dtype=start.dtype)
    elif np.isfinite(products.unit) and start.any():
        rows = min(start.size, max(2 * num + 1, _ROWS), max(num + 1, max_matvecs))
        restarts = 1 + (max_matvecs - rows) // (rows - num)
        values, vectors = _arpack(products, start, num, rows, max(1, restarts), tolerance)
        if len(vectors) == num:
            vectors = _with_missed(products, values, vectors, max(tolerance, noise))
    return _with_errors(products, vectors, num, tolerance, noise)


class _Products(LinearOperator):
    """The map in units of about its norm, in which ARPACK's thresholds are relative.

    Remembers the largest product of a unit vector, and how far from symmetric the map is.
    """

    def __init__(self, product: Callable[[Any], Any], start: np.ndarray):
        super().__init__(start.dtype, (start.size, start.size))
        self._product, self.precision = product, start.dtype
        self._last = np.zeros_like(start), np.zeros_like(start)
        self.matvecs, self.scale, self.difference, self.unit = 0, 0.0, 0.0, 1.0
        self.of(start / (np.linalg.norm(start) or 1))
        self.unit = self.scale

    def of(self, vector: np.ndarray) -> np.ndarray:
        """A v, for v of unit length."""
        image = np.asarray(self._product(vector))
        require_floating(image, "product")
        image = image.astype(self.precision, copy=False)
        u, a_u = self._last
        self._last = vector.copy(), image.copy()  # ARPACK writes over its vectors
        self.matvecs += 1
        self.scale = float(np.maximum(self.scale, length(image)))
        self.difference = max(self.difference, abs(dot(u, image) - dot(vector, a_u)))
        return image

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        image = self.of(x.ravel())
        if not np.isfinite(image).all():
            raise _NotFiniteError
        return image / self.precision.type(self.unit)


class _NotFiniteError(Exception):
    """A product was not finite, and ARPACK is not to see it."""


def _arpack(
    operator: _Products, start, num: int, rows: int, restarts: int, tolerance: float
) -> tuple[Float[np.ndarray, " found"], Float[np.ndarray, "found d"]]:
    """The values that have converged, and vectors as rows."""
    settings: dict[str, Any] = {"k": num, "which": "LM", "maxiter": restarts, "tol": tolerance}
    try:
        values, vectors = eigsh(operator, v0=start, ncv=min(rows, start.size), rng=0, **settings)
    except ArpackNoConvergence as stopped:
        values, vectors = stopped.eigenvalues, stopped.eigenvectors
    except (ArpackError, _NotFiniteError):
        return np.empty(0), np.empty((0, start.size), start.dtype)
    return operator.unit * np.asarray(values, np.float64), vectors.T


def _with_missed(
    products: _Products, values, vectors: Float[np.ndarray, "num d"], tolerance: float
) -> Float[np.ndarray, "num d"]:
    """The vectors, the least replaced as long as a larger value lies in their complement."""
    vectors = np.array(vectors, np.float64)
    rng = np.random.default_rng(0)
    for _ in range(2 * len(vectors)):
        least = int(np.argmin(np.abs(values)))
        found = larger_beside(
            products.of,
            vectors,
            least=abs(values[least]),
            precision=products.precision,
            tolerance=tolerance,
            scale=products.scale,
            rng=rng,
        )
        if found is None:
            break
        values[least], vectors[least] = found
    return vectors


def _with_errors(
    products: _Products, vectors: np.ndarray, num: int, tolerance: float, noise: float
) -> Eigenpairs:
    """The pairs of some vectors, each by one more product, and NaN for those that are missing."""
    count, size = vectors.shape
    images = np.array([products.of(vector) for vector in vectors], np.float64).reshape(count, size)
    wide = np.asarray(vectors, np.float64)
    skew = wide @ images.T
    skew = float(np.linalg.norm(skew - skew.T))
    defect = max(products.difference, skew) / (products.scale or 1)
    require_symmetric(defect, products.precision, size=size, noise=noise, steps=max(1, count))
    squares = np.sum(wide**2, axis=1)
    values = np.sum(wide * images, axis=1) / squares
    residuals = np.linalg.norm(images - values[:, None] * wide, axis=1)
    rounding = rounding_error(np.array([products.scale]), products.precision)
    rounding = max(rounding, noise * products.scale, skew)
    met = 1.0 * (residuals <= np.maximum(2 * tolerance * np.abs(values), rounding))
    order = np.argsort(values)
    gram = wide @ wide.T - np.eye(count)

    def filled(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, np.full((num - count, *rows.shape[1:]), np.nan)])

    return Eigenpairs(
        values=filled(values[order]),
        vectors=filled(wide[order]),
        errors=filled(np.maximum(residuals, rounding)[order]),
        converged=filled(met[order]) == 1,
        matvecs=products.matvecs,
        orthogonality=float(np.max(np.abs(gram), initial=0.0)),
        rounding=rounding,
    )
