"""What is measured along an inner loop, and how exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Progress = Callable[[], None]

OPERATORS = ("paper", "preconditioned", "update", "augmented")
"""What an inner step multiplies by, from the published approximation to the exact map."""

ALL_OPERATORS = (*OPERATORS, "semi-gradient")
"""With the map that no meta-gradient uses, see `InnerStep.semi_gradient`."""


@dataclass(frozen=True)
class InnerLoopSettings:
    """What is measured, and how exactly.

    The paper's operator, which the Hessian's spectrum gives for nothing, is measured in any case
    where there is a learning rate.
    """

    operators: tuple[str, ...] = OPERATORS  # some of ALL_OPERATORS
    products: bool = True  # whether norms of products over inner steps are measured, too
    paths: bool = False  # whether norms of the derivatives of the last theta in gradients are
    edges: bool = False  # whether the distance to the edge of stability is, at the first step
    starts: int = 2  # random start vectors of each Hessian's spectrum
    min_matvecs: int = 0  # products per start of a Hessian at the least, for the density
    max_matvecs: int = 48  # products per run at the most
    tolerance: float = 1e-3  # residual, relative to the norm, at which wanted ends are converged
    departure_probes: int = 4  # random vectors behind each departure from normality

    @property
    def krylov(self) -> dict[str, Any]:
        """Options of every Krylov run."""
        return {
            "max_matvecs": self.max_matvecs,
            "tolerance": self.tolerance,
            "check_every": 1,
            "keep_basis": True,
        }
