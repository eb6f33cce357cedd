"""Snake by TD actor-critic with an outer critic of its own or without (Bonnet et al. 2022)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About, Hyper, MetaParameter
from hessdiag.problems.loss_terms import LossTerms, total
from hessdiag.problems.scalars import NamedScalars
from hessdiag.rl.actor_critic import lambda_returns
from hessdiag.rl.board_network import BoardNetwork
from hessdiag.rl.rollout import EnvironmentState, Trajectory, episode_metrics, reset, rollout
from hessdiag.rl.snake_environment import grid, snake_environment
from hessdiag.rl.standardise import standardised

if TYPE_CHECKING:
    from jumanji.wrappers import VmapAutoResetWrapper

OUTER_GAMMA = OUTER_LAMBDA = 1.0


class TemporalDifferences(NamedTuple):
    """Of a batch; values are constants in both, γ is not."""

    targets: Float[Array, "B T"]
    advantages: Float[Array, "B T"]


@dataclass(frozen=True)
class OuterSnake(NamedScalars):
    """Policy, critic and, if there is one, outer critic: three networks that share nothing."""

    rows: int = setting(6, "rows of the board", "--board-size", least=2, most=1000)
    cols: int = setting(6, "columns", "--board-size", least=2, most=1000)
    batch_size: int = setting(512, "environments played in parallel, B", "--batch-size", least=1)
    rollout_length: int = setting(
        5, "steps per environment and inner update, T", "--rollout-length", least=1
    )
    time_limit: int = setting(500, "steps after which an episode ends", least=1)
    outer_critic: bool = setting(
        False, "a third network, trained at γ' = 1, values the outer advantage", outer=True
    )
    normalise_advantages: bool = setting(False, "standardise the advantages of both losses")
    start_gamma: float = setting(0.8, "γ at the start of training", above=0, below=1)
    lam: float = setting(0.95, "λ of the inner loss", least=0, most=1)
    critic_cost: float = setting(0.5, "weight of the critics' squared errors", least=0)
    entropy: float = setting(0.01, "weight of the entropy in the inner loss", least=0)
    maps: int = setting(32, "feature maps of each convolution", least=1)
    policy_width: int = setting(64, "widths of the policy's two hidden layers", least=1)
    value_width: int = setting(128, "widths of the critics' two hidden layers", least=1)

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    about = About(
        summary="Jumanji's Snake, TD actor-critic, outer critic or none; γ is meta-learned",
        headline="return",
        followed=("outer_advantage",),
        choices=(
            "λ and the weights are constants; in the published code they are meta-parameters that "
            "no derivative reaches.",
            "The learning curve is the mean return of the episodes that ended in training "
            "rollouts, actions sampled; the published one is of evaluation episodes.",
            "The outer advantage that is recorded is that of the training rollout at θ, before "
            "the inner update, and never standardised: the mean of standardised ones is zero. The "
            "published one is of the validation rollout after it.",
        ),
        presets={
            "smoke": {"n": 1, "problem.batch_size": 16, "probe.max_matvecs": 24},
            "laptop": {"n": 1, "problem.batch_size": 64, "train.iterations": 2000},
            "paper": {"n": 1, "train.iterations": 29_200},
        },
    )
    learning = Learning(
        optimiser="rmsprop",
        learning_rate=5e-4,
        meta_learning_rate=3e-3,
        meta_clip_norm=0.1,
        meta_eps_root=1e-8,
    )

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """γ, by a sigmoid."""
        return (MetaParameter("gamma", self.start_gamma),)

    @cached_property
    def environment(self) -> "VmapAutoResetWrapper":
        """Jumanji's environment, batched, resetting by itself."""
        return snake_environment(self.rows, self.cols, self.time_limit)

    @cached_property
    def policy(self) -> BoardNetwork:
        """From boards to logits; its parameters take JAX's default float type."""
        return self._network(self.policy_width, 4)

    @cached_property
    def critic(self) -> BoardNetwork:
        """From boards to values; the outer critic is of the same form."""
        return self._network(self.value_width, 1)

    def _network(self, width: int, outputs: int) -> BoardNetwork:
        dtype = jnp.zeros(()).dtype
        return BoardNetwork((width, width), outputs, maps=self.maps, param_dtype=dtype)

    def start(self, eta, key):
        """Fresh parameters and a batch of reset environments."""
        del eta
        environment_key, *keys = jax.random.split(key, 4)
        environments = reset(self.environment, environment_key, self.batch_size, observe=grid)
        networks = {"policy": self.policy, "critic": self.critic}
        if self.outer_critic:
            networks["outer_critic"] = self.critic
        params = {
            name: network.init(network_key, environments.observation)
            for (name, network), network_key in zip(networks.items(), keys, strict=False)
        }
        return params, environments

    def rollout(self, params, hyper, env_state: EnvironmentState, key):
        """Play `rollout_length` steps in every environment, no action mask."""
        del hyper
        weights = jax.lax.stop_gradient(params["policy"])
        return rollout(
            self.environment,
            lambda board: jnp.asarray(self.policy.apply(weights, board)),
            env_state,
            key,
            length=self.rollout_length,
            observe=grid,
        )

    def inner_loss(self, params, hyper: Hyper, trajectories: Trajectory):
        """−A log π + c (targets − v)² − c_e H, and the outer critic's squared error at γ' = 1."""
        return total(self.inner_loss_terms(params, hyper, trajectories))

    def inner_loss_terms(self, params, hyper: Hyper, trajectories: Trajectory) -> LossTerms:
        """Its terms, with their signs and weights."""
        value = self._values(params["critic"], trajectories)
        found = differences(trajectories, value, hyper["gamma"], self.lam)
        log_pi = self._log_policy(params["policy"], trajectories)
        terms = {
            "policy": self._policy_loss(params, found.advantages, trajectories),
            "critic": self.critic_cost * jnp.mean((found.targets - value[:, :-1]) ** 2),
            "entropy": self.entropy * jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1)),
        }
        if self.outer_critic:
            value = self._values(params["outer_critic"], trajectories)
            targets = differences(trajectories, value, OUTER_GAMMA, OUTER_LAMBDA).targets
            terms["outer-critic"] = self.critic_cost * jnp.mean((targets - value[:, :-1]) ** 2)
        return terms

    def outer_loss(self, params, hyper, trajectories: Trajectory):
        """−A' log π with γ' = λ' = 1, A' by the critic or, if there is one, the outer critic."""
        del hyper
        return self._policy_loss(params, self._outer_advantages(params, trajectories), trajectories)

    def outer_aim(self, params, hyper, trajectories: Trajectory):
        """What the outer loss is a surrogate of, with its sign: reward per step, negative."""
        del params, hyper
        return -jnp.mean(trajectories.transitions.reward)

    def divergence(self, params, target_params, hyper, trajectories: Trajectory):
        """KL(π_target ‖ π), a mean over the states of the trajectories."""
        del hyper
        target, here = (
            self._log_policy(at["policy"], trajectories) for at in (target_params, params)
        )
        return jnp.mean(jnp.sum(jnp.exp(target) * (target - here), axis=-1))

    def metrics(self, params, trajectories: Trajectory) -> Mapping:
        """Those of episodes, and the mean outer advantage."""
        advantages = self._outer_advantages(params, trajectories)
        return {**episode_metrics(trajectories), "outer_advantage": jnp.mean(advantages)}

    def _outer_advantages(self, params, trajectories: Trajectory) -> Float[Array, "B T"]:
        critic = params["outer_critic" if self.outer_critic else "critic"]
        value = self._values(jax.lax.stop_gradient(critic), trajectories)
        return differences(trajectories, value, OUTER_GAMMA, OUTER_LAMBDA).advantages

    def _policy_loss(self, params, advantages: Float[Array, "B T"], trajectories: Trajectory):
        if self.normalise_advantages:
            advantages = standardised(advantages)
        log_pi = self._log_policy(params["policy"], trajectories)
        action = trajectories.transitions.action[..., None]
        return -jnp.mean(advantages * jnp.take_along_axis(log_pi, action, axis=-1)[..., 0])

    def _log_policy(self, weights, trajectories: Trajectory) -> Float[Array, "B T A"]:
        boards = trajectories.observation[:, :-1]
        flat = boards.reshape(-1, *boards.shape[2:])
        logits = jnp.asarray(self.policy.apply(weights, flat))
        return jax.nn.log_softmax(logits).reshape(*boards.shape[:2], -1)

    def _values(self, weights, trajectories: Trajectory) -> Float[Array, "B T+1"]:
        boards = trajectories.observation
        flat = boards.reshape(-1, *boards.shape[2:])
        return jnp.asarray(self.critic.apply(weights, flat))[:, 0].reshape(boards.shape[:2])


def differences(
    trajectories: Trajectory, value: Float[Array, "B T+1"], gamma, lam
) -> TemporalDifferences:
    """λ-returns, and their distance from the values: TD(λ) within the T steps."""
    held, seen = jax.lax.stop_gradient(value), trajectories.transitions
    targets = jax.vmap(lambda_returns, in_axes=(0, 0, 0, None))(
        seen.reward, gamma * seen.discount, held[:, 1:], lam
    )
    return TemporalDifferences(targets, targets - held[:, :-1])
