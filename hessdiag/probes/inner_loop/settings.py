"""What is measured along an inner loop, and how exactly."""

from dataclasses import dataclass

OPERATORS = ("paper", "preconditioned", "update", "augmented")
"""What an inner step multiplies by, from the published approximation to the exact map."""

ALL_OPERATORS = (*OPERATORS, "semi-gradient")
"""With the map that no meta-gradient uses, see `InnerStep.semi_gradient`."""


@dataclass(frozen=True)
class InnerLoopSettings:
    """What is measured, and how exactly.

    Attributes:
        operators: Some of `ALL_OPERATORS`. The paper's, which the Hessian's spectrum gives for
            nothing, is measured in any case where there is a learning rate.
        products: Whether norms of products over inner steps are measured, too.
        paths: Whether norms of the derivatives of the last theta in every inner gradient are.
        starts: Random start vectors of each Hessian's spectrum.
        min_matvecs: Products per start of a Hessian at the least, for the density.
        max_matvecs: Products per run at the most.
        tolerance: Residual, relative to the norm, at which the wanted ends count as converged.
        departure_probes: Random vectors behind each departure from normality.
    """

    operators: tuple[str, ...] = OPERATORS
    products: bool = True
    paths: bool = False
    starts: int = 2
    min_matvecs: int = 0
    max_matvecs: int = 48
    tolerance: float = 1e-3
    departure_probes: int = 4
