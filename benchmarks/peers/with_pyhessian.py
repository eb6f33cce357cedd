"""PyHessian: power iteration with deflation, and its Lanczos density.

The release calls `torch.eig`, which PyTorch has removed; so that there is something to measure, it
is given one that returns what the old one did. Without that every call of `density` raises.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyhessian  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers.interface import Asked, Found, Measure
from benchmarks.torch_snake import TorchTarget

_module: Any = sys.modules["pyhessian.hessian"]  # the package's own name for it is the class


class Peer:
    """`eigenvalues` and `density` of one batch's Hessian."""

    def __init__(self, target: TorchTarget, seed: int = 0):
        torch.manual_seed(seed)
        data = (target.inputs, target.targets)
        self.made = pyhessian.hessian(target.model, target.criterion, data=data, cuda=False)
        self.order, self.matvecs = target.order, 0
        self._product = _module.hessian_vector_product

    def extremes(self, asked: Asked) -> Found:
        """Outermost nodes of a density: power iteration knows no ends, only magnitudes."""
        settings = {} if asked.depth is None else {"iter": asked.depth}
        nodes, _ = self._density(**settings)
        return Found(np.array([nodes.min(), nodes.max()]), self.matvecs)

    def top(self, num: int, asked: Asked) -> Found:
        """One power iteration after the other, at most 100 products each."""
        return self._power(num, {} if asked.tolerance is None else {"tol": asked.tolerance})

    def capped_top(self, num: int, depth: int) -> Found:
        """The same with about `depth` products in all."""
        return self._power(num, {"maxIter": -(-depth // num)})

    def _power(self, num: int, settings: dict) -> Found:
        with self._counted():
            values, vectors = self.made.eigenvalues(top_n=num, **settings)
        rows = [torch.cat([part.flatten() for part in vector]).numpy() for vector in vectors]
        return Found(np.array(values), self.matvecs, np.stack(rows)[:, self.order])

    def density(self, probes: int, steps: int) -> Measure:
        """Nodes and weights."""
        nodes, weights = self._density(iter=steps, n_v=probes)
        return Measure(nodes, weights / probes, self.matvecs)

    def ritz(self, depth: int) -> Found:
        """The nodes of one probe."""
        return Found(self._density(iter=depth)[0], self.matvecs)

    def trace(self, products: int) -> tuple[float, None]:
        """Its mean over as many probes as its own rule wants; it gives no error."""
        del products
        return float(np.mean(self.made.trace())), None

    def _density(self, **settings) -> tuple[np.ndarray, np.ndarray]:
        with self._counted(), _torch_eig():
            nodes, weights = self.made.density(**settings)
        return np.concatenate(nodes), np.concatenate(weights)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count the library's products."""
        self.matvecs = 0

        def product(*operands):
            self.matvecs += 1
            return self._product(*operands)

        _module.hessian_vector_product = product
        try:
            yield
        finally:
            _module.hessian_vector_product = self._product


@contextmanager
def _torch_eig() -> Iterator[None]:
    """`torch.eig` as it was: real and imaginary parts in columns, and real eigenvectors."""

    def eig(matrix, eigenvectors):
        del eigenvectors
        values, vectors = torch.linalg.eig(matrix)
        return torch.view_as_real(values), vectors.real

    held = torch.eig
    torch.eig = eig
    try:
        yield
    finally:
        torch.eig = held
