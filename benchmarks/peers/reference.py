"""What is true of the benchmark's Hessian, from a run far beyond every requested tolerance."""

from typing import NamedTuple

import jax
import numpy as np
from scipy.linalg import eigh_tridiagonal

from benchmarks.peers.interface import Found, Measure
from benchmarks.peers.target import Target, random_vector
from hessdiag import spectra

SEED = 1000  # no library starts from it


class Reference(NamedTuple):
    """Converged eigenvalues, and how many products of one plain Lanczos run tell them.

    Attributes:
        values: Ritz values, ascending; both ends and the largest magnitudes have converged.
        errors: Their bounds.
        norm: Largest magnitude.
        alpha: Diagonal of the tridiagonal matrix.
        beta: Its couplings.
    """

    values: np.ndarray
    errors: np.ndarray
    norm: float
    alpha: np.ndarray
    beta: np.ndarray

    def largest(self, num: int) -> np.ndarray:
        """The values of largest magnitude, ascending."""
        return np.sort(self.values[np.argsort(-np.abs(self.values))[:num]])

    def depth(self, num: int | None, tolerance: float) -> int:
        """Products after which the largest `num` (None: both ends) are right and resolved.

        A small residual alone is no sign that none is missing: a value may not have emerged yet.
        """
        truth = self.values[[0, -1]] if num is None else self.largest(num)
        for depth in range(4, len(self.alpha) + 1, 4):
            values, vectors = eigh_tridiagonal(self.alpha[:depth], self.beta[: depth - 1])
            wanted = [0, depth - 1] if num is None else np.argsort(-np.abs(values))[:num]
            residuals = self.beta[depth - 1] * np.abs(vectors[-1, wanted])
            if len(residuals) < len(truth):
                continue
            errors = np.abs(np.sort(values[wanted]) - np.sort(truth))
            if max(residuals.max(), errors.max()) < tolerance * self.norm:
                return depth
        raise ValueError(f"{len(self.alpha)} products are not enough for {num} values")


def reference(target: Target, depth: int) -> Reference:
    """One long run of Lanczos with full reorthogonalisation."""

    @jax.jit
    def long(data, start):
        return spectra.lanczos(
            target.operator(data), start, max_matvecs=depth, tolerance=0.0, check_every=depth
        )

    made = long(target.data, random_vector(target, SEED))
    run = spectra.ritz_values(made)
    alpha, beta = (np.asarray(part, np.float64)[: run.matvecs] for part in (made.alpha, made.beta))
    return Reference(run.values, run.errors, float(np.abs(run.values).max()), alpha, beta)


def residual(target: Target, found: Found, norm: float) -> float | None:
    """Largest ‖Av − θv‖ / ‖A‖ over unit vectors, by one product each, the same for everyone."""
    if found.vectors is None:
        return None
    worst = 0.0
    for value, vector in zip(found.values, found.vectors, strict=True):
        v = vector.astype(np.float64)
        v /= np.linalg.norm(v)
        difference = np.asarray(target.matvec(v), np.float64) - value * v
        worst = max(worst, float(np.linalg.norm(difference)))
    return worst / norm


def error(found: Found, truth: np.ndarray, norm: float) -> float:
    """Largest |θ − λ| / ‖A‖, values and truth both ascending; NaN if some are missing."""
    if len(found.values) != len(truth):
        return float("nan")
    return float(np.max(np.abs(np.sort(found.values) - truth))) / norm


def distance(one: Measure, other: Measure, norm: float) -> float:
    """1-Wasserstein distance of two densities, relative to ‖A‖."""
    points = np.sort(np.concatenate([one.nodes, other.nodes]))
    gap = np.abs(_cumulative(one, points) - _cumulative(other, points))
    return float(np.sum(gap[:-1] * np.diff(points))) / norm


def _cumulative(measure: Measure, points: np.ndarray) -> np.ndarray:
    order = np.argsort(measure.nodes)
    below = np.searchsorted(measure.nodes[order], points, side="right")
    return np.concatenate([[0.0], np.cumsum(measure.weights[order])])[below]
