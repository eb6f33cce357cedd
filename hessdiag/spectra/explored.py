"""Whether a larger eigenvalue hides beside eigenvectors that were found."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from hessdiag.spectra.dots import length
from hessdiag.spectra.driven import DrivenLanczos

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
    (count, size), narrow = vectors.shape, vectors.astype(precision)
    eps = float(np.finfo(precision).eps)
    enough = max((1 + tolerance) * least, least + 16 * eps * scale)

    def beside(row: np.ndarray) -> np.ndarray:
        inside = _outside(row, narrow)
        size_inside = inside.dtype.type(length(inside))
        return size_inside * _outside(product(inside / size_inside), narrow)

    vector, found = rng.standard_normal(size), None
    for _ in range(_ROUNDS):
        start = _unit_outside(vector, vectors).astype(precision)
        run = DrivenLanczos(beside, start, random=rng)
        for _ in range(min(_STEPS, size - count)):
            run.step()
            if run.failed:
                return found
            value, residual = run.largest()
            is_larger = abs(value) > enough
            if is_larger and residual <= max(tolerance * abs(value), eps * scale):
                return value, _unit_outside(run.largest_vector(), vectors)
            if found is None and run.reach() <= enough:
                return None
        if not is_larger:
            return None
        vector = run.largest_vector()
        found = value, _unit_outside(vector, vectors)
    return found


def _outside(x: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What of a vector is orthogonal to orthonormal rows."""
    return x - (basis @ x) @ basis


def _unit_outside(x: np.ndarray, basis: np.ndarray) -> np.ndarray:
    for _ in range(2):
        x = _outside(x / np.linalg.norm(x), basis)
    return x / np.linalg.norm(x)
