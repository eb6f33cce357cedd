"""The trace of an operator from a finished Lanczos run and a few more products."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from hessdiag.spectra.dots import range_dots
from hessdiag.spectra.driven import DrivenLanczos, Product


class DeflatedTrace:
    """Traces of the diagonal blocks of A, and of A: exact on a Krylov space, sampled beside it.

    With Q the basis of the run and u random vectors of length sqrt(d - m) orthogonal to it,

        tr(P A) = tr(P A Q Q') + E[u' P A u]    for the projection P on any range of entries:

    the first is known from the products of the run, the second is a mean of independent terms,
    whose spread and Student's t give the error. Where the run has the outliers, the terms hardly
    differ.

    Args:
        run: A run that was told the ranges; it is not changed.
        product: Its product.
        offsets: Where its ranges begin.
    """

    def __init__(self, run: DrivenLanczos, product: Product, offsets: Float[np.ndarray, " ranges"]):
        self._run, self._product, self._offsets = run, product, offsets
        self._exact = (
            np.sum(run.shares, axis=0) if not run.failed else np.full(len(offsets), np.nan)
        )
        self._terms: list[np.ndarray] = []
        self._squares: list[float] = []

    def sample(self, random: np.random.Generator, count: int, dtype: np.dtype) -> Iterator[int]:
        """Spend `count` products, one at a time; none where the run has the whole space."""
        left = self._run.size - self._run.active
        for _ in range(count if left else 0):
            u = self._run.outside(random.standard_normal(self._run.size).astype(dtype))
            u *= u.dtype.type(np.sqrt(left) / np.linalg.norm(u))
            image = np.asarray(self._product(u))
            self._terms.append(range_dots(u, image, self._offsets))
            self._squares.append(float(np.linalg.norm(image)) ** 2)
            yield 1

    def blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """The traces of the diagonal blocks, and their errors."""
        return self._of(
            np.array(self._terms).reshape(len(self._terms), len(self._offsets)), self._exact
        )

    def whole(self) -> tuple[float, float]:
        """The trace, and its error: half of a 95 % interval, with what rounding may leave."""
        terms = np.array([np.sum(term) for term in self._terms])
        value, error = self._of(terms, np.sum(self._exact))
        return float(value), float(error)

    def _of(self, terms: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = len(terms)
        if self._run.active == self._run.size:
            return exact, self._rounding() + 0 * exact
        if count < 2:
            return np.nan * exact, np.nan * exact
        spread = np.std(terms, axis=0, ddof=1) / np.sqrt(count)
        return exact + np.mean(terms, axis=0), stdtrit(count - 1, 0.975) * spread + self._rounding()

    def _rounding(self) -> float:
        """The sum of d products' errors, each relative to its length."""
        frobenius = self._run.square + float(np.mean(self._squares or [0.0]))
        return float(self._run.eps * np.sqrt(self._run.size * frobenius))
