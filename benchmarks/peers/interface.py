"""What every library is asked, and what it answers."""

from typing import NamedTuple, Protocol

import numpy as np


class Found(NamedTuple):
    """Eigenvalues.

    Attributes:
        values: In any order.
        matvecs: Products spent.
        vectors: A row for each value, in hessdiag's order of parameters; None where the library
            gives none.
        errors: The library's own bound on the error of each value; None where it gives none.
        flagged: Whether the library itself says that the values have not converged.
    """

    values: np.ndarray
    matvecs: int
    vectors: np.ndarray | None = None
    errors: np.ndarray | None = None
    flagged: bool = False


class Measure(NamedTuple):
    """A spectral density as points with weights, which sum to one.

    Attributes:
        nodes: Quadrature nodes of all probes, or the grid of a smoothed density.
        weights: Their weights.
        matvecs: Products spent.
    """

    nodes: np.ndarray
    weights: np.ndarray
    matvecs: int


class Asked(NamedTuple):
    """How hard to work; None is the library's own default.

    Attributes:
        tolerance: Residual or change to reach, in the library's own sense of relative.
        depth: Products that suffice, told to libraries that cannot stop by themselves.
    """

    tolerance: float | None = None
    depth: int | None = None


class Peer(Protocol):
    """One library on one operator. A method that it lacks is missing."""

    def extremes(self, asked: Asked) -> Found:
        """Both ends of the spectrum."""
        ...

    def top(self, num: int, asked: Asked) -> Found:
        """The eigenvalues of largest magnitude."""
        ...

    def density(self, probes: int, steps: int) -> Measure:
        """The density of the eigenvalues, by stochastic Lanczos quadrature."""
        ...
