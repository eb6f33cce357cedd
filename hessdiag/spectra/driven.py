"""Lanczos driven from the host: a compiled product a step, and nothing else to compile.

It can be asked, shown and stopped after every product, and costs no compilation beside that of the
product. `lanczos` is the same as one program, for use inside others.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from hessdiag.spectra.gram_schmidt import BLOCK
from hessdiag.spectra.lanczos import LanczosDecomposition
from hessdiag.spectra.ritz import beyond

_NO_CANCELLATION = 0.7  # a pass that leaves this part of the vector was accurate
_ROUNDING = 4.0  # eps |A|: what is left of a product below it has no direction of its own
_SHORT = 1024  # terms of a sum in the vectors' own precision

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
        self._basis = _Basis(start.size, start.dtype)
        self._vector, self._previous = start / _length(start), np.zeros_like(start)
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
        length = _length(image)
        if not np.isfinite(length):
            self._alpha.append(np.nan)
            self._beta.append(np.nan)
            self.failed, self.active = True, self.active + 1
            return
        self.scale, self.square = max(self.scale, length), self.square + length**2
        alpha = _dot(q, image)
        if self._offsets is not None:
            self.shares.append(range_dots(q, image, self._offsets))
        rest = image - image.dtype.type(alpha) * q
        rest -= image.dtype.type(coupling) * self._previous
        self._basis.append(q)
        rest, column = self._basis.split(rest)
        above = np.linalg.norm(column[: self.active])  # along older rows, where T has nothing
        self._asymmetry = float(np.hypot(self._asymmetry, above))
        residual = _length(rest)
        if residual <= _ROUNDING * self.eps * self.scale and self.active + 1 < self.size:
            residual = 0.0
            fresh = self._random.standard_normal(self.size).astype(rest.dtype)
            rest, _ = self._basis.split(fresh)
        self._alpha.append(alpha)
        self._beta.append(residual)
        self._previous, self._vector = q, rest / (_length(rest) or 1)
        self.active += 1

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

    def largest(self) -> tuple[float, Float[np.ndarray, " d"], float]:
        """The Ritz value of largest modulus, its vector, and its residual bound."""
        alpha, beta = self._alpha[: self.active], self._beta[: self.active]
        values, vectors = eigh_tridiagonal(alpha, beta[:-1])
        top = int(np.argmax(np.abs(values)))
        residual = beta[-1] * abs(vectors[-1, top])
        return float(values[top]), self._basis.combined(vectors[:, top]), residual

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


class _Basis:
    """Orthonormal rows, in blocks: on the host, or where the accelerator is."""

    def __init__(self, size: int, dtype: Any):
        self._size, self._dtype = size, dtype
        self._blocks: list[Any] = []
        self._rows = 0
        self._on_host = jax.default_backend() == "cpu"

    def append(self, vector: np.ndarray) -> None:
        k = self._rows % BLOCK
        if k == 0:
            zeros = np.zeros if self._on_host else jnp.zeros
            self._blocks.append(zeros((BLOCK, self._size), self._dtype))
        if self._on_host:
            self._blocks[-1][k] = vector
        else:
            self._blocks[-1] = _written(self._blocks[-1], vector, k)
        self._rows += 1

    def split(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What of a vector is orthogonal to the rows, and its coefficients along them.

        One pass, and others, three at the most, where one took away a good part of the vector.
        """
        before, length = vector, _length(vector)
        column = np.zeros(self._rows, np.float64)
        for _ in range(3):
            rest, along = self._without(before)
            column += along
            left = _length(rest)
            if left > _NO_CANCELLATION * length:
                break
            before, length = rest, left
        return rest, column

    def _without(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rest, column = vector, []
        for i, block in enumerate(self._blocks):
            if self._on_host:
                rows = block[: self._rows - BLOCK * i]
                along = rows @ rest
                rest = rest - along @ rows
            else:
                rest, along = _removed(block, rest)
            column.append(np.asarray(along))
        return np.asarray(rest), np.concatenate([*column, []])[: self._rows]

    def combined(self, weights: np.ndarray) -> np.ndarray:
        """The sum of the rows times weights."""
        total = np.zeros(self._size, self._dtype)
        for i, block in enumerate(self._blocks):
            own = np.zeros(BLOCK, self._dtype)
            part = weights[BLOCK * i : BLOCK * (i + 1)]
            own[: len(part)] = part
            total += np.asarray(own @ block)
        return total

    def orthogonality(self) -> float:
        """Largest entry of |Q Q' - I|."""
        largest = 0.0
        for i, left in enumerate(self._blocks):
            for j, right in enumerate(self._blocks[: i + 1]):
                gram = np.array(left @ right.T)
                if i == j:
                    gram -= np.diag(np.arange(BLOCK) < self._rows - BLOCK * i)
                largest = float(np.maximum(largest, np.max(np.abs(gram))))
        return largest


def _highest(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(jax.default_matmul_precision("highest")(function))


@_highest
def _removed(block: Any, vector: Any) -> tuple[Any, Any]:
    along = block @ vector
    return vector - along @ block, along


_written = _highest(lambda block, vector, k: block.at[k].set(vector))


def range_dots(left: np.ndarray, right: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The products left'right by range of entries, each from its offset to the next; in float64."""
    return np.add.reduceat(np.multiply(left, right, dtype=np.float64), offsets)


def _dot(left: np.ndarray, right: np.ndarray) -> float:
    """The sum of short sums, in float64: rounding of long ones would pass for asymmetry."""
    whole = left.size // _SHORT * _SHORT
    rows = left[:whole].reshape(-1, 1, _SHORT), right[:whole].reshape(-1, _SHORT, 1)
    return float(np.sum(rows[0] @ rows[1], dtype=np.float64) + left[whole:] @ right[whole:])


def _length(vector: np.ndarray) -> float:
    """Euclidean, also where squares underflow or overflow."""
    with np.errstate(over="ignore", under="ignore"):
        square = _dot(vector, vector)
    if 1e-20 < square < 1e30 or not np.isfinite(unit := float(np.max(np.abs(vector), initial=0))):
        return float(np.sqrt(square))
    return unit and unit * float(np.sqrt(_dot(vector / unit, vector / unit)))
