"""SciPy's ARPACK, on the same JAX products."""

from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from benchmarks.peers.interface import Asked, Found
from benchmarks.peers.target import Target, random_vector


class _Counted(LinearOperator):
    """The products of a target, counted."""

    def __init__(self, target: Target):
        super().__init__(np.dtype(target.dtype), (target.size, target.size))
        self.target, self.matvecs = target, 0

    def _matvec(self, x):
        self.matvecs += 1
        return np.asarray(self.target.matvec(x.ravel()))


class Peer:
    """`scipy.sparse.linalg.eigsh`; NumPy vectors in and out. It has no density."""

    def __init__(self, target: Target, seed: int = 0):
        self.start = np.asarray(random_vector(target, seed))
        self.operator = _Counted(target)

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

    def _run(self, num: int, which: str, asked: Asked, **limits) -> Found:
        """Its default tolerance, 0, stands for machine precision."""
        self.operator.matvecs = 0
        settings: dict[str, Any] = {"tol": asked.tolerance or 0.0, "v0": self.start, **limits}
        flagged = False
        try:
            values, vectors = eigsh(self.operator, k=num, which=which, **settings)
        except ArpackNoConvergence as failure:
            values, vectors, flagged = failure.eigenvalues, failure.eigenvectors, True
        return Found(
            np.asarray(values), self.operator.matvecs, np.asarray(vectors).T, flagged=flagged
        )
