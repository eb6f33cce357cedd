"""Whether a larger eigenvalue hides beside eigenvectors that were found."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from hessdiag.spectra.ritz import beyond

_STEPS, _ROUNDS = 25, 4  # at most, of a run and of runs from what the last one found


def larger_beside(
    product: Callable[[np.ndarray], np.ndarray],
    vectors: Float[np.ndarray, "num d"],
    *,
    least: float,
    tolerance: float,
    scale: float,
    precision: Any,
    rng: np.random.Generator,
) -> tuple[float, Float[np.ndarray, " d"]] | None:
    """An eigenpair of larger modulus than `least` that is orthogonal to some eigenvectors.

    Lanczos on what is orthogonal to the vectors, from a random start, and where a larger one shows
    again from there, until it has converged. It ends as soon as couplings prove that nothing larger
    is there (`ritz.beyond`).

    Args:
        product: v -> A v.
        vectors: Orthonormal rows.
        least: A modulus, which is exceeded by more than its own rounding.
        tolerance: Residual to reach, relative to the eigenvalue.
        scale: Of A, for its rounding.
        precision: Dtype of the products.
        rng: Of starts: another call needs others, for this one used up what its starts had.

    Returns:
        Value and unit vector, converged or not, or None: no run has seen one.
    """
    count, size = vectors.shape
    eps = float(np.finfo(precision).eps)
    enough = max((1 + tolerance) * least, least + 16 * eps * scale)
    vector, found = rng.standard_normal(size), None
    for _ in range(_ROUNDS):
        run = _Run(product, vectors, vector, scale, rng, precision)
        for _ in range(min(_STEPS, size - count)):
            if not run.grow():
                return found
            value, vector, residual, hidden = run.top()
            is_larger = abs(value) > enough
            if is_larger and residual <= max(tolerance * abs(value), eps * scale):
                return value, _unit_outside(vector, vectors)
            if found is None and hidden <= enough:
                return None
        if not is_larger:
            return None
        found = value, _unit_outside(vector, vectors)
    return found


class _Run:
    """Lanczos on what is orthogonal to some vectors, with full orthogonalisation."""

    def __init__(self, product, vectors, start, scale: float, rng, precision):
        self._product, self._vectors, self._scale, self._rng = product, vectors, scale, rng
        self._eps = float(np.finfo(precision).eps)
        self._rows = np.empty((0, start.size), precision)
        self._next, self._alpha, self._beta = start, [], []

    def grow(self) -> bool:
        """One product more; false if it is not finite."""
        row = _unit_outside(self._next, self._vectors, self._rows).astype(self._rows.dtype)
        self._rows = np.concatenate([self._rows, row[None]])
        image = self._product(row)
        self._alpha.append(row @ image)
        rest = image
        for _ in range(2):
            rest = _outside(rest, self._vectors, self._rows)
        length = float(np.linalg.norm(rest))
        self._beta.append(max(length, self._eps / 2 * self._scale))
        dither = self._rng.standard_normal(rest.size) / rest.size**0.5
        self._next = rest + 1e-3 * self._eps * self._scale * dither
        return np.isfinite(length)

    def top(self) -> tuple[float, np.ndarray, float, float]:
        """Value, vector and residual of largest modulus; the most that a hidden modulus can be."""
        values, weights = eigh_tridiagonal(self._alpha, self._beta[:-1])
        top = int(np.argmax(np.abs(values)))
        below, above = beyond(values, np.array(self._beta), len(self._next))
        hidden = max(below - values[0], values[-1] + above)
        residual = self._beta[-1] * abs(weights[-1, top])
        return float(values[top]), weights[:, top] @ self._rows, residual, hidden


def _outside(x: np.ndarray, *bases: np.ndarray) -> np.ndarray:
    """What of a vector is orthogonal to orthonormal rows."""
    for basis in bases:
        x = x - (basis @ x) @ basis
    return x


def _unit_outside(x: np.ndarray, *bases: np.ndarray) -> np.ndarray:
    for _ in range(2):
        x = _outside(x / np.linalg.norm(x), *bases)
    return x / np.linalg.norm(x)
