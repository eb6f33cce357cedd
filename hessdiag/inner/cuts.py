"""Counterfactuals: which paths from η to θ^(n) a meta-gradient follows.

A path is cut in the derivative alone. Rollouts, losses and updates are those of the full
meta-gradient to the last bit, so that two of them from one key differ by the cut and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Cut:
    """What a meta-gradient differentiates through, besides the η in each inner gradient.

    Attributes:
        hessian: ∂g/∂θ, how a moved θ changes the next inner gradient.
        memory: the optimiser's state; without it m and v are constants of every update.
        still: the one moment of that state which is a constant, the other being followed: "first",
            an average of the gradient, or "second", of its square; None for neither.
        trace: μ, which multiplies θ from one update to the next in place of the whole Jacobian:
            the accumulative trace (Bonnet et al. 2021, D.1), Hessian and memory being cut.
            None leaves the Jacobian.
        as_sgd: the optimiser's response to its gradient is −α, as in gradient descent.
        inside: the Hessian acts as if those eigenvalues of H = −α∇²L that lie outside these two
            bounds were zero; None keeps all.
        matvecs: Hessian-vector products, per inner step, that those eigenpairs are found with.
    """

    hessian: bool = True
    memory: bool = True
    still: Literal["first", "second"] | None = None
    trace: float | None = None
    as_sgd: bool = False
    inside: tuple[float, float] | None = None
    matvecs: int = 16  # resolves the outermost few pairs of either end

    @property
    def follows_hessian(self) -> bool:
        """Whether products of the Hessian are needed."""
        return self.hessian and self.trace is None

    @property
    def follows_memory(self) -> bool:
        """Whether cotangents of the optimiser's state are."""
        return self.memory and self.trace is None and not self.as_sgd


FULL = Cut()
STABLE = (-2.0, 0.0)  # where |1 + eigenvalue| ≤ 1 (Bonnet et al. 2021, D.2)

CUTS: Mapping[str, Cut] = {
    "full": FULL,
    "no-hessian": Cut(hessian=False),
    "no-memory": Cut(memory=False),
    "no-first-moment": Cut(still="first"),
    "no-second-moment": Cut(still="second"),
    "neither": Cut(hessian=False, memory=False),
    "trace": Cut(trace=0.9),
    "stable-hessian": Cut(inside=STABLE),
    "as-sgd": Cut(as_sgd=True),
}
"""The full meta-gradient and its counterfactuals, as studies name them."""

COUNTERFACTUALS = tuple(name for name, cut in CUTS.items() if cut != FULL)


def cut_called(
    name: str,
    *,
    trace_decay: float,
    inside: tuple[float, float] = STABLE,
    matvecs: int = FULL.matvecs,
) -> Cut:
    """The counterfactual of a name of `CUTS`, its trace or bounds as given (see `Cut`)."""
    cut = CUTS[name]
    if cut.trace is not None:
        return replace(cut, trace=trace_decay)
    return cut if cut.inside is None else replace(cut, inside=inside, matvecs=matvecs)
