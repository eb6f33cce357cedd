"""laplax: its Lanczos, which returns as many values as it is told steps."""

import jax
import numpy as np
from laplax.curv.lanczos import lanczos_lowrank  # pyright: ignore[reportMissingImports]

from benchmarks.peers.interface import Asked, Found
from benchmarks.peers.target import Target


class Peer:
    """`lanczos_lowrank`, recurrence in float64 around the products' own dtype."""

    def __init__(self, target: Target, seed: int = 0):
        self.target, self.seed = target, seed

    def extremes(self, asked: Asked) -> Found:
        """Ends of the list."""
        found = self.ritz(asked.depth or 20)
        return found._replace(values=np.array([found.values.min(), found.values.max()]))

    def top(self, num: int, asked: Asked) -> Found:
        """The largest of the list."""
        found = self.ritz(asked.depth or 20)
        return found._replace(values=found.values[np.argsort(-np.abs(found.values))[:num]])

    def ritz(self, depth: int) -> Found:
        """The list."""
        key = jax.random.key(self.seed)
        made = lanczos_lowrank(self.target.matvec, key=key, layout=self.target.size, rank=depth)
        return Found(np.asarray(made.S), depth)
