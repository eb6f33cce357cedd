"""CoLA on JAX: `eig` with its Lanczos."""

import cola  # pyright: ignore[reportMissingImports]
import jax
import numpy as np

from benchmarks.peers.interface import Asked, Found
from benchmarks.peers.target import Target


class Peer:
    """`cola.linalg.eig` of an operator that is annotated self-adjoint."""

    def __init__(self, target: Target, seed: int = 0):
        columns = jax.vmap(target.matvec, in_axes=1, out_axes=1)
        shape = (target.size, target.size)
        operator = cola.ops.LinearOperator(target.dtype, shape, matmat=columns)
        self.operator = cola.SelfAdjoint(operator)
        self.key = jax.random.key(seed)

    def extremes(self, asked: Asked) -> Found:
        """Ends of everything that a run finds."""
        found = self.ritz(asked.depth or 100)
        return found._replace(values=np.array([found.values.min(), found.values.max()]))

    def top(self, num: int, asked: Asked) -> Found:
        """`which="LM"`, documented as largest in magnitude."""
        return self._eig(num, asked.depth or 100)

    def ritz(self, depth: int) -> Found:
        """Everything that a run finds."""
        return self._eig(depth, depth)

    def trace(self, products: int) -> tuple[float, float | None]:
        """Hutchinson's estimate; it gives no error."""
        del products
        made = cola.linalg.trace(self.operator, cola.linalg.Hutch(key=self.key))
        return float(made), None

    def _eig(self, num: int, depth: int) -> Found:
        algorithm = cola.linalg.Lanczos(max_iters=depth, key=self.key)
        values, _ = cola.linalg.eig(self.operator, num, "LM", algorithm)
        return Found(np.asarray(values), depth)
