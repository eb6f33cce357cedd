"""The orthonormal rows of a Krylov space that is driven from the host."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hessdiag.spectra.dots import length
from hessdiag.spectra.gram_schmidt import BLOCK

_NO_CANCELLATION = 0.7  # a pass that leaves this part of the vector was accurate
_COLUMNS = 1 << 14  # BLOCK rows of so many stay in a core's cache


class Basis:
    """Orthonormal rows, in blocks, on the host.

    A new row may have overlaps of about the square root of a rounding with those before. They are
    told with it, and taken away of many rows at once, before the rows are used.
    """

    def __init__(self, size: int, dtype: Any):
        self._size, self._dtype = size, dtype
        self._blocks: list[Any] = []
        self._rows = 0
        self._pending: list[np.ndarray] = []  # overlaps of the last rows, in one block

    def append(self, row: Float[np.ndarray, " d"], overlaps: Float[np.ndarray, " rows"]) -> None:
        """One more row, and its products with those before."""
        if self._rows % BLOCK == 0:
            self.settle()
            self._blocks.append(self._empty())
        self._write(row, self._rows % BLOCK)
        self._rows += 1
        if self._pending or overlaps.any():
            self._pending.append(overlaps)

    def along(self, vector: Float[np.ndarray, " d"]) -> Float[np.ndarray, " rows"]:
        """The products of all rows with a vector."""
        parts = [np.asarray(_dots(block, vector), np.float64) for block in self._blocks]
        return np.concatenate(parts)[: self._rows]

    def settle(self) -> None:
        """Take away what rows have of those before them, to first order."""
        if not self._pending:
            return
        weights = np.zeros((len(self._pending), BLOCK * len(self._blocks)), self._dtype)
        for line, overlaps in zip(weights, self._pending, strict=True):
            line[: len(overlaps)] = overlaps
        last = (self._rows - 1) % BLOCK + 1
        self._take_away(slice(last - len(weights), last), np.split(weights, len(self._blocks), 1))
        self._pending = []

    def last(self) -> Float[np.ndarray, " d"]:
        """The last row."""
        return np.array(self._blocks[-1][(self._rows - 1) % BLOCK])

    def split(
        self, vector: Float[np.ndarray, " d"]
    ) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " rows"]]:
        """What of a vector is orthogonal to the rows, and its coefficients along them.

        One pass, and others, three at the most, where one took away a good part of the vector.
        """
        self.settle()
        before, whole = vector, length(vector)
        column = np.zeros(self._rows, np.float64)
        for _ in range(3):
            rest, along = self._without(before)
            column += along
            left = length(rest)
            if left > _NO_CANCELLATION * whole:
                break
            before, whole = rest, left
        return rest, column

    def combined(self, weights: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " d"]:
        """The sum of the rows times weights."""
        self.settle()
        padded = np.zeros(BLOCK * len(self._blocks), self._dtype)
        padded[: len(weights)] = weights
        total = np.zeros(self._size, self._dtype)
        for part, block in zip(padded.reshape(-1, BLOCK), self._blocks, strict=True):
            total += np.asarray(part @ block)
        return total

    def orthogonality(self) -> float:
        """Largest entry of |Q Q' - I|."""
        self.settle()
        largest = 0.0
        for i, left in enumerate(self._blocks):
            for j, right in enumerate(self._blocks[: i + 1]):
                gram = np.array(left @ right.T)
                if i == j:
                    gram -= np.diag(np.arange(BLOCK) < self._rows - BLOCK * i)
                largest = float(np.maximum(largest, np.max(np.abs(gram))))
        return largest

    def _empty(self) -> Any:
        return np.zeros((BLOCK, self._size), self._dtype)

    def _write(self, row: np.ndarray, k: int) -> None:
        self._blocks[-1][k] = row

    def _take_away(self, rows: slice, weights: list[np.ndarray]) -> None:
        """Subtract weighted sums of all rows from rows of the last block."""
        for first in range(0, self._size, _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            sums = weights[0] @ self._blocks[0][:, columns]
            for part, block in zip(weights[1:], self._blocks[1:], strict=True):
                sums += part @ block[:, columns]
            self._blocks[-1][rows, columns] -= sums

    def _without(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rest, column = vector, np.zeros(BLOCK * len(self._blocks))
        for i, block in enumerate(self._blocks):
            along = _dots(block, rest)
            rest = _less(rest, along, block)
            column[BLOCK * i : BLOCK * (i + 1)] = along
        return np.array(rest), column[: self._rows]


class DeviceBasis(Basis):
    """The same on an accelerator; vectors come from the host and go back."""

    def _empty(self) -> Any:
        return jnp.zeros((BLOCK, self._size), self._dtype)

    def _write(self, row: np.ndarray, k: int) -> None:
        self._blocks[-1] = _written(self._blocks[-1], row, k)

    def _take_away(self, rows: slice, weights: list[np.ndarray]) -> None:
        last = self._blocks[-1]
        for part, block in zip(weights, self._blocks, strict=True):
            all_rows = np.zeros((BLOCK, BLOCK), self._dtype)
            all_rows[rows] = part
            last = _less(last, all_rows, block)
        self._blocks[-1] = last


def basis_where_products_are(size: int, dtype: Any) -> Basis:
    """An empty one of vectors of so many entries."""
    return (Basis if jax.default_backend() == "cpu" else DeviceBasis)(size, dtype)


def _dots(block: Any, vector: Any) -> Any:
    return block @ vector if isinstance(block, np.ndarray) else _device_dots(block, vector)


def _less(vector: Any, weights: Any, block: Any) -> Any:
    if isinstance(block, np.ndarray):
        return vector - weights @ block
    return _device_less(vector, weights, block)


def _highest(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(jax.default_matmul_precision("highest")(function))


_device_dots = _highest(lambda block, vector: block @ vector)
_device_less = _highest(lambda vector, weights, block: vector - weights @ block)
_written = _highest(lambda block, vector, k: block.at[k].set(vector))
