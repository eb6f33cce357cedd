"""What a learning problem is: the contract that built-in and user-made problems share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jaxtyping import Array, Float, PRNGKeyArray

Params = Any
EnvState = Any
Trajectories = Any
Hyper = Mapping[str, Float[Array, ""]]


@dataclass(frozen=True)
class MetaParameter:
    """One meta-learned hyper-parameter.

    Attributes:
        name: how reports call it.
        start: its value at the start of training, after the transform.
        transform: map from the unconstrained η to the hyper-parameter: "sigmoid" or "identity".
        group: what studies average it with; by itself where none is given.
    """

    name: str
    start: float
    transform: str = "sigmoid"
    group: str | None = None


@dataclass(frozen=True)
class Learning:
    """How a problem is learned, unless flags or a TOML file say otherwise.

    Attributes:
        optimiser: inner optimiser, a name known to `hessdiag.inner.optimisers`.
        b1: decay of its averaged gradient (Adam, momentum); None leaves the optimiser's default.
        b2: decay of its averaged squared gradient (Adam, RMSProp); None as above.
        eps: ε, outside Adam's root and inside RMSProp's; None as above.
        learning_rate: inner learning rate α at the start.
        schedule: "constant", or "linear" annealing to 0 over training.
        clip_norm: global-norm clipping of the inner gradient; 0 turns it off.
        meta_learning_rate: learning rate β of the meta-optimiser (Adam).
        meta_clip_norm: global-norm clipping of the meta-gradient; 0 turns it off.
        transform: "sigmoid" or "identity" for all meta-parameters; None leaves each its own.
    """

    optimiser: str = "adam"
    b1: float | None = None
    b2: float | None = None
    eps: float | None = None
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 0.0
    meta_learning_rate: float = 1e-3
    meta_clip_norm: float = 0.0
    transform: str | None = None


@dataclass(frozen=True)
class About:
    """What people are told about a problem.

    Attributes:
        summary: one line.
        headline: the entry of `Problem.metrics` that the learning curve shows.
        choices: what is ours where the paper is silent, a sentence each.
        presets: settings by preset name that differ from the general ones
            (see `hessdiag.train.presets`), e.g. ``{"laptop": {"train.iterations": 3000}}``.
    """

    summary: str
    headline: str
    choices: Sequence[str] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Problem(Protocol):
    """A learning problem: frozen settings, and pure functions that JAX can transform.

    Any object with these members works everywhere a built-in problem does; frozen dataclasses
    are the natural choice, because their fields become settings of the command line.

    A problem with bootstrap targets may have `inner_loss_with_targets(params, target_params,
    hyper, trajectories)`: the inner loss with its targets made of other parameters, nothing
    stopped. The operator "semi-gradient" is measured on it.
    """

    @property
    def about(self) -> About:
        """Texts and presets."""
        ...

    @property
    def learning(self) -> Learning:
        """Recommended optimisers and rates."""
        ...

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """The meta-parameters, in the order of the entries of η."""
        ...

    def init(self, key: PRNGKeyArray) -> tuple[Params, EnvState]:
        """Fresh network parameters and environment state."""
        ...

    def rollout(
        self, params: Params, env_state: EnvState, key: PRNGKeyArray
    ) -> tuple[EnvState, Trajectories]:
        """Sample trajectories from the policy, continuing from `env_state`.

        The result is a constant with respect to `params` (no score-function term).
        """
        ...

    def inner_loss(
        self, params: Params, hyper: Hyper, trajectories: Trajectories
    ) -> Float[Array, ""]:
        """The loss L that the learner descends; differentiable twice, in `params` and `hyper`."""
        ...

    def outer_loss(self, params: Params, trajectories: Trajectories) -> Float[Array, ""]:
        """The validation loss L' that the meta-learner descends."""
        ...

    def metrics(self, params: Params, trajectories: Trajectories) -> Mapping[str, Float[Array, ""]]:
        """Figures of merit read off a batch of training trajectories; NaN where undefined."""
        ...
