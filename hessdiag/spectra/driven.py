"""Lanczos driven from the host: a compiled product a step, and nothing else to compile.

It can be asked, shown and stopped after every product, and costs no compilation beside that of the
product. `lanczos` is the same as one program, for use inside others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from hessdiag.spectra.basis import basis_where_products_are
from hessdiag.spectra.dots import dot, length, range_dots
from hessdiag.spectra.lanczos import LanczosDecomposition
from hessdiag.spectra.ritz import beyond

_ROUNDING = 4.0  # eps |A|: what is left of a product below it has no direction of its own
_LATER = 0.1  # sqrt(eps): overlaps up to here can wait a step, for their squares round away

Product = Callable[[Any], Any]
"""v -> A v, compiled, on flat vectors of NumPy or of JAX."""


class DrivenLanczos:
    """A Krylov space of a symmetric map that grows by one product at a time.

    What a product leaves outside the space is followed down to a few roundings, and a fresh random
    direction is taken below: an invariant space, or one that looks so, ends no run.

    Attributes:
        active: Products spent, and vectors of the basis.
        scale: The largest |A q| met, a lower estimate of the norm.
        failed: A product was not finite; the space grows no more.
        shares: By product, the parts of q'A q that fall on the ranges between `offsets`.
        square: The sum of |A q|².
        eps: Of the vectors' dtype.
    """

    def __init__(
        self,
        product: Product,
        start: Float[np.ndarray, " d"],
        *,
        random: np.random.Generator,
        offsets: Float[np.ndarray, " ranges"] | None = None,
    ):
        self.active, self.scale, self.square, self.failed = 0, 0.0, 0.0, False
        self.shares: list[np.ndarray] = []
        self._product, self._random, self._offsets = product, random, offsets
        self.eps, self._start = float(np.finfo(start.dtype).eps), start
        self._basis = basis_where_products_are(start.size, start.dtype)
        self._vector, self._previous = start / length(start), np.zeros_like(start)
        self._work = np.zeros_like(start)
        self._overlaps = [np.zeros(0), np.zeros(0)]  # of the last row, of the vector: with the rows
        self._alpha: list[float] = []
        self._beta: list[float] = []
        self._asymmetry = 0.0

    @property
    def size(self) -> int:
        """Of the space that the map is on."""
        return self._start.size

    @property
    def grows(self) -> bool:
        """Whether another step is possible."""
        return not self.failed and self.active < self.size

    def step(self) -> None:
        """One product and one more vector."""
        q, coupling = self._vector, self._beta[-1] if self._beta else 0.0
        image = np.asarray(self._product(q))
        size = length(image)
        if not np.isfinite(size):
            self._alpha.append(np.nan)
            self._beta.append(np.nan)
            self.failed, self.active = True, self.active + 1
            return
        self.scale, self.square = max(self.scale, size), self.square + size**2
        alpha = dot(q, image)
        if self._offsets is not None:
            self.shares.append(range_dots(q, image, self._offsets))
        rest = np.array(image, self._work.dtype)
        for factor, vector in ((alpha, q), (coupling, self._previous)):
            rest -= np.multiply(vector, factor, out=self._work)
        self._basis.append(q, self._overlaps[-1])
        rest, residual = self._orthogonal(rest, alpha, coupling)
        if residual <= self._rounding and self.active + 1 < self.size:
            residual = 0.0
            fresh = self._random.standard_normal(self.size).astype(rest.dtype)
            rest, _ = self._basis.split(fresh)
        self._alpha.append(alpha)
        self._beta.append(residual)
        rest /= length(rest) or 1
        self._previous, self._vector = self._vector, rest
        self.active += 1

    def _orthogonal(
        self, rest: np.ndarray, alpha: float, coupling: float
    ) -> tuple[np.ndarray, float]:
        """What of a product is outside the basis, and its length.

        Overlaps are left to grow from step to step, as long as their squares round away (Simon
        1984): T is then what it would be without them.
        """
        overlaps, residual = self._basis.along(rest), length(rest)
        most = _LATER * self.eps**0.5 * residual
        is_left = residual > self._rounding and np.max(np.abs(overlaps)) <= most
        if not is_left:
            rest, overlaps = self._basis.split(rest)
            residual = length(rest)
            self._vector = self._basis.last()
        above = self._above(overlaps[:-1], alpha, coupling)
        self._asymmetry = float(np.hypot(self._asymmetry, np.linalg.norm(above)))
        self._overlaps = (
            [self._overlaps[-1], overlaps / residual]
            if is_left
            else [np.zeros(self.active), np.zeros(self.active + 1)]
        )
        return rest, residual

    def _above(self, overlaps: np.ndarray, alpha: float, coupling: float) -> np.ndarray:
        """A column of Q'A Q along older rows, where T has nothing.

        Less what the three-term recurrence makes of overlaps that were left.
        """
        before, last = self._overlaps
        couplings, t_times = self._beta[:-1], self._alpha * last
        t_times[1:] += couplings * last[:-1]
        t_times[:-1] += couplings * last[1:]
        above = overlaps + alpha * last - t_times
        above[:-1] += coupling * before
        return above

    @property
    def _rounding(self) -> float:
        return _ROUNDING * self.eps * self.scale

    def ends(self) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
        """The lowest and the highest Ritz value, and their residual bounds beta |s|."""
        if self.failed or not self.active:
            return np.full(2, np.nan), np.full(2, np.nan)
        alpha, beta = self._alpha[: self.active], self._beta[: self.active]
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        return values[[0, -1]], beta[-1] * np.abs(vectors[-1, [0, -1]])

    def has_converged(self, tolerance: float) -> bool:
        """Whether both ends are known to `tolerance * scale`, or the space is the whole.

        By their residuals, and by how far out another one can hide from the start.
        """
        if self.failed or not self.active:
            return False
        if self.active == self.size or not self.scale:
            return True
        _, below, above = self._hidden()
        return bool(max(*self.ends()[1], below, above) <= tolerance * self.scale)

    def reach(self) -> float:
        """The most that the modulus of an eigenvalue can be that is hidden from the start."""
        values, below, above = self._hidden()
        return float(max(below - values[0], values[-1] + above))

    def _hidden(self) -> tuple[np.ndarray, float, float]:
        """Ritz values, and how far out of them an eigenvalue can be."""
        alpha, beta = self._alpha[: self.active], self._beta[: self.active]
        values = np.asarray(eigh_tridiagonal(alpha, beta[:-1], eigvals_only=True))
        least = max(self.eps / 2 * self.scale, np.finfo(np.float64).tiny)
        return values, *beyond(values, np.maximum(beta, least), self.size)

    def largest(self) -> tuple[float, float]:
        """The Ritz value of largest modulus, and its residual bound."""
        value, weights = self._largest()
        return value, self._beta[self.active - 1] * abs(weights[-1])

    def largest_vector(self) -> Float[np.ndarray, " d"]:
        """The Ritz vector of that value."""
        return self._basis.combined(self._largest()[1])

    def _largest(self) -> tuple[float, np.ndarray]:
        alpha, beta = self._alpha[: self.active], self._beta[: self.active]
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        top = int(np.argmax(np.abs(values)))
        return float(values[top]), vectors[:, top]

    def between_ends(self) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
        """A unit vector between the Ritz vectors of both ends, and its product, which T knows."""
        alpha, beta = self._alpha[: self.active], self._beta[: self.active]
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        along = vectors[:, -1] + (self.active > 1) * vectors[:, 0]
        along /= np.linalg.norm(along)
        image = vectors @ (values * (vectors.T @ along))
        vector, moved = self._basis.combined(along), self._basis.combined(image)
        return vector, moved + beta[-1] * along[-1] * self._vector

    def outside(self, vector: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
        """What of a vector is orthogonal to the basis."""
        return self._basis.split(vector)[0]

    def decomposition(self, tolerance: float) -> LanczosDecomposition:
        """The run so far, on the host."""
        dtype = self._start.dtype
        numbers: dict[str, Any] = {
            "alpha": np.array(self._alpha[: self.active], dtype),
            "beta": np.array(self._beta[: self.active], dtype),
            "active": self.active,
            "orthogonality": self._basis.orthogonality(),
            "scale": self.scale,
            "converged": self.active > 0 and self.has_converged(tolerance),
            "broke_down": self.active == self.size,
            "asymmetry": self._asymmetry / (self.scale or 1),
            "noise": -1.0,  # who drives the run measures both
            "sensitivity": -1.0,
            "size": self.size,
        }
        return LanczosDecomposition(**numbers)
