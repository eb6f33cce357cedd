"""curvlinops: ARPACK on its exported operator, and its own density."""

from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from curvlinops import (  # pyright: ignore[reportMissingImports]
    HessianLinearOperator,
    hutchinson_trace,
    lanczos_approximate_spectrum,
)
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from benchmarks.peers.interface import Asked, Found, Measure
from benchmarks.torch_snake import TorchTarget


class _Counted(HessianLinearOperator):
    """Its Hessian, counting products."""

    matvecs = 0

    def _matmat_batch(self, X, y, M):
        self.matvecs += M[0].shape[-1]
        return super()._matmat_batch(X, y, M)


class Peer:
    """`HessianLinearOperator` with SciPy's `eigsh`, as its documentation does it."""

    def __init__(self, target: TorchTarget, seed: int = 0):
        params = list(target.model.parameters())
        data = [(target.inputs, target.targets)]
        self.hessian = _Counted(target.model, target.criterion, params, data)
        self.order, self.seed = target.order, seed

    def extremes(self, asked: Asked) -> Found:
        """`which="BE"` with k = 2: one value from each end."""
        return self._run(2, "BE", asked)

    def top(self, num: int, asked: Asked) -> Found:
        """`which="LM"`."""
        return self._run(num, "LM", asked)

    def capped_top(self, num: int, depth: int) -> Found:
        """`which="LM"` with one cycle only."""
        del depth
        return self._run(num, "LM", Asked(), maxiter=1)

    def density(self, probes: int, steps: int) -> Measure:
        """Smoothed on a grid; it first spends products on the ends."""
        self.hessian.matvecs = 0
        made = lanczos_approximate_spectrum(self.hessian, ncv=steps, num_repeats=probes)
        nodes, height = (part.numpy().astype(np.float64) for part in made)
        return Measure(nodes, height / height.sum(), self.hessian.matvecs)

    def trace(self, products: int) -> tuple[float, None]:
        """Hutchinson's estimate; it gives no error."""
        torch.manual_seed(self.seed)
        return float(hutchinson_trace(self.hessian, num_matvecs=products)), None

    def _run(self, num: int, which: str, asked: Asked, **limits) -> Found:
        self.hessian.matvecs = 0
        exported = self.hessian.to_scipy()
        start = np.random.default_rng(self.seed).standard_normal(exported.shape[0])
        settings: dict[str, Any] = {"tol": asked.tolerance or 0.0, "v0": start, **limits}
        flagged = False
        try:
            values, vectors = eigsh(exported, k=num, which=which, **settings)
        except ArpackNoConvergence as failure:
            values, vectors, flagged = failure.eigenvalues, failure.eigenvectors, True
        rows = np.asarray(vectors).T[:, self.order]
        return Found(np.asarray(values), self.hessian.matvecs, rows, flagged=flagged)
