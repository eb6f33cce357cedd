"""A training loop of one's own, given by plain functions, as a problem."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hessdiag.api.trainable import Held

Loss = Callable[[Any, Any, Any], Any]
Sampler = Callable[..., Any]


@dataclass(frozen=True)
class LoopProblem:
    """What probes need of a problem, made of a user's functions: they start where the loop is.

    Attributes:
        inner: (params, eta, batch) → the inner loss.
        outer: (params, eta, batch) → the outer loss.
        sample: (params, eta, env_state, key) → (env_state, batch), of the inner loss.
        validation: the same for the outer loss.
        eta: η, for its shapes.
        held: leaves of the parameters that are no parameters.
    """

    inner: Loss
    outer: Loss
    sample: Sampler
    validation: Sampler
    eta: Any
    held: Held

    def init_eta(self, key: Any) -> Any:
        """η as it was given."""
        del key
        return self.eta

    def hyper(self, eta: Any) -> Any:
        """The functions see η itself."""
        return eta

    def rollout(self, params: Any, hyper: Any, env_state: Any, key: Any) -> Any:
        """(environment state, batch) for the inner loss."""
        return self.sample(self.held.whole(params), hyper, env_state, key)

    def validation_rollout(self, params: Any, hyper: Any, env_state: Any, key: Any) -> Any:
        """(environment state, batch) for the outer loss."""
        return self.validation(self.held.whole(params), hyper, env_state, key)

    def inner_loss(self, params: Any, hyper: Any, trajectories: Any) -> Any:
        """L(θ, η, batch)."""
        return self.inner(self.held.whole(params), hyper, trajectories)

    def outer_loss(self, params: Any, hyper: Any, trajectories: Any) -> Any:
        """L'(θ, η, batch)."""
        return self.outer(self.held.whole(params), hyper, trajectories)

    def losses(self, params: Any, eta: Any, env_state: Any, key: Any) -> dict[str, Any]:
        """Both losses, each on a batch of its own."""
        _, batch = self.rollout(params, eta, env_state, key)
        _, outer_batch = self.validation_rollout(params, eta, env_state, key)
        return {
            "inner_loss": self.inner_loss(params, eta, batch),
            "outer_loss": self.outer_loss(params, eta, outer_batch),
        }


def from_batches(batches: Callable[[Any], Any]) -> Sampler:
    """A sampler that depends on nothing but its key, as one that samples for a loss."""

    def sample(params, eta, env_state, key):
        del params, eta
        return env_state, batches(key)

    return sample
