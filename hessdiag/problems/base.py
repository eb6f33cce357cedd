"""What a learning problem is: the contract that built-in and user-made problems share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.learning import Learning

Params = Any
Eta = Any
"""The unconstrained meta-parameters: any pytree of floats."""
Hyper = Any
"""What losses and rollouts see of η; of named scalars, a dict by name."""
EnvState = Any
Trajectories = Any


@dataclass(frozen=True)
class MetaParameter:
    """One meta-learned hyper-parameter."""

    name: str  # how reports call it
    start: float  # its value at the start of training, after the transform
    transform: str = "sigmoid"  # from the unconstrained η: or "identity", "exp", "softplus"
    group: str | None = None  # what studies average it with; by itself where none is given
    between: tuple[float, float] | None = None  # the ends of a sigmoid, if they are not 0 and 1


@dataclass(frozen=True)
class About:
    """What people are told about a problem."""

    summary: str  # one line
    headline: str  # the entry of `Problem.metrics` that the learning curve shows
    followed: Sequence[str] = ()  # entries that are shown besides
    choices: Sequence[str] = ()  # what is ours where the paper is silent, a sentence each
    # By preset name what differs from the general one: {"laptop": {"train.iterations": 3000}}
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Problem(Protocol):
    """A learning problem: frozen settings, and pure functions that JAX can transform.

    Any object with these members will do; the fields of a dataclass become settings of the command
    line. Of a few named scalars, `hessdiag.problems.NamedScalars` gives `init_eta` and `hyper`.

    Members that a problem may have besides:

    - `meta_parameters`, a sequence of `MetaParameter`: names of the entries of η;
    - `inner_loss_terms(params, hyper, trajectories)`, a dict of scalars by name whose sum is
      the inner loss: a probe then tells their curvatures apart ("loss-terms");
    - `inner_loss_with_targets(params, target_params, hyper, trajectories)`: the inner loss, its
      bootstrap targets made of other parameters, nothing stopped: for the operator "semi-gradient";
    - `validation_rollout(params, hyper, env_state, key)`, like `rollout`, where the outer loss has
      data of its own;
    - `log_prob(params, hyper, trajectories)`, per trajectory (B,), for estimators with score terms;
    - `outer_value(params, hyper, trajectories)`, what is to be small on average, where `outer_loss`
      is a surrogate whose derivative has the score of its own trajectories (−log π · A, DiCE);
      without it the outer loss itself is, and estimators with score terms add that score;
    - `outer_aim(params, hyper, trajectories)`, the same where there is no `outer_value`: what
      evolution strategies descend, and how well meta-gradients predict is measured by;
    - `inner_losses(params, hyper, trajectories)`, (B,), for estimators that linearise
      score terms: the inner loss is their mean;
    - `outcomes(params, hyper, env_state)`, likelihoods (M,) of all batches that `rollout` can give,
      and those batches, stacked, and `expected_outer_loss(params, hyper, env_state)`: then the
      gradient of the expected outer loss is known exactly, for studies of bias;
    - `carries`, True where the environment state goes on from one iteration to the next though
      every unroll starts again (`Learning.keep` "0"), such as a replay buffer;
    - `divergence(params, target_params, hyper, trajectories)`, a scalar that is smallest where both
      behave alike, for bootstrapped meta-gradients; else half the squared distance is taken.
    """

    @property
    def about(self) -> About:
        """Texts and presets."""
        ...

    @property
    def learning(self) -> Learning:
        """Recommended optimisers and rates."""
        ...

    def init_eta(self, key: PRNGKeyArray) -> Eta:
        """The unconstrained η at the start of training, any pytree of floats."""
        ...

    def hyper(self, eta: Eta) -> Hyper:
        """What losses and rollouts see of η."""
        ...

    def start(self, eta: Eta, key: PRNGKeyArray) -> tuple[Params, EnvState]:
        """Fresh parameters θ^(0) and environment state; they may depend on η, as in MAML.

        Where training starts every unroll again (`Learning.keep` "0"), the meta-gradient has that
        path, too.
        """
        ...

    def rollout(
        self, params: Params, hyper: Hyper, env_state: EnvState, key: PRNGKeyArray
    ) -> tuple[EnvState, Trajectories]:
        """Sample trajectories, continuing from `env_state`: constants for all derivatives."""
        ...

    def inner_loss(
        self, params: Params, hyper: Hyper, trajectories: Trajectories
    ) -> Float[Array, ""]:
        """The loss L that the learner descends; differentiable twice, in `params` and `hyper`."""
        ...

    def outer_loss(
        self, params: Params, hyper: Hyper, trajectories: Trajectories
    ) -> Float[Array, ""]:
        """The validation loss L' of the meta-learner; its direct derivative in `hyper` counts."""
        ...

    def metrics(self, params: Params, trajectories: Trajectories) -> Mapping[str, Float[Array, ""]]:
        """Figures of merit read off a batch of training trajectories; NaN where undefined."""
        ...
