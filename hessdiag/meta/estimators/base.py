"""The contract of estimators: a meta-gradient, and what training keeps of the unroll behind it."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import FULL, Cut, InnerState
from hessdiag.meta.system import Start, System
from hessdiag.meta.unroll import Unroll, point


@dataclass(frozen=True)
class Options:
    """What estimators are made of; each reads what it needs."""

    n: int = 1  # inner updates ahead; 0 leaves the hyper-parameters fixed
    kappa: float | None = None  # mixing factor κ; None: 1 − 1/n (Bonnet et al. 2021, section 3.5)
    trace_decay: float = 0.9  # μ of the accumulative trace
    cut: Cut = FULL  # what the meta-gradient differentiates through
    samples: int = 1  # K, independent estimates that are averaged (eq. 9)
    validations: int = 1  # draws of every τ̃^(i), whose outer losses are averaged
    chunk: int = 1  # how many of them are computed at once
    # Linearise inner steps again in the reverse sweep (memory: a state and a batch of trajectories
    # per step); else the unroll stores their linearisations.
    remat: bool = True
    keep: int = 1  # inner updates that training keeps
    target_updates: int = 1  # that make the target of a bootstrapped objective
    perturbation: float = 0.1  # σ, standard deviation of what evolution strategies add to η


class MetaStep(NamedTuple):
    """A meta-gradient and what training keeps of the unroll behind it."""

    meta_gradient: Float[Array, " m"]
    state: InnerState  # after the inner updates that are kept
    env_state: Any  # after their rollouts
    trajectories: Any  # τ^(0)
    inner_loss: Float[Array, ""]  # L(θ^(0), η, τ^(0))
    outer_loss: Float[Array, ""]  # the objective at θ^(n), of the first estimate; NaN for n = 0
    memory: Any  # of the objective


class Estimator(Protocol):
    """Estimates meta-gradients; pure and jit-able."""

    @property
    def options(self) -> Options:
        """What it was made of."""
        ...

    @property
    def rollouts(self) -> int:
        """How many one iteration of training draws."""
        ...

    def init(self, system: System, params: Any) -> Any:
        """What its objective remembers before the first iteration."""
        ...

    def __call__(self, system: System, start: Start, key: PRNGKeyArray, memory: Any) -> MetaStep:
        """One meta-gradient at a start, from a key and what its objective remembers."""
        ...


def kept(points: Unroll, start: Start, keep: int) -> tuple[InnerState, Any]:
    """(inner state, environments' state) that training goes on from; of none, where it ended."""
    if keep == 0:
        return start.inner, point(points.env_states, -1)
    return point(points.states, keep), point(points.env_states, keep - 1)
