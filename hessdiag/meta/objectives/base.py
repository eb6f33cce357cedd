"""The contract of objectives: a value at θ^(i), and its derivatives in θ and η."""

from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import Eta, InnerState
from hessdiag.meta.system import System


class Outer(NamedTuple):
    """What an objective says at one θ^(i); nothing else differentiates the outer loss."""

    value: Float[Array, ""]
    to_params: Float[Array, " d"]  # T = ∂value/∂θ^(i)
    to_eta: Float[Array, " m"]  # the direct derivative in η
    memory: Any  # what the objective remembers for the next iteration


class Objective(Protocol):
    """Where T comes from; frozen, and equal to those of the same settings."""

    def init(self, system: System, params: Any) -> Any:
        """What it remembers before the first iteration."""
        ...

    def __call__(
        self,
        system: System,
        state: InnerState,
        eta: Eta,
        env_state: Any,
        key: PRNGKeyArray,
        memory: Any,
    ) -> Outer:
        """The objective at an inner state.

        Args:
            system: the problem and its inner update.
            state: x^(i).
            eta: η, flat.
            env_state: the environments' state, which its rollouts continue.
            key: randomness of its rollouts.
            memory: what it remembers.
        """
        ...
