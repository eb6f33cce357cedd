"""Jumanji's Snake, learned by A2C with λ-returns (Bonnet et al. 2021, table 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About, Hyper, MetaParameter
from hessdiag.problems.scalars import NamedScalars
from hessdiag.rl.actor_critic import ActorCriticLosses, actor_critic_losses
from hessdiag.rl.conv import FORMS
from hessdiag.rl.networks import BoardActorCritic
from hessdiag.rl.rollout import EnvironmentState, Trajectory, reset, rollout
from hessdiag.rl.snake_environment import episode_metrics, grid, snake_environment

if TYPE_CHECKING:
    from jumanji.wrappers import VmapAutoResetWrapper

SMALLEST_BOARD = 4  # two 2×2 poolings leave one cell


@dataclass(frozen=True)
class Snake(NamedScalars):
    """The game of Snake: one fruit is one point, collision or leaving the board ends it."""

    rows: int = setting(
        12, "rows of the board, halved twice by the network", "--board-size", least=SMALLEST_BOARD
    )
    cols: int = setting(12, "columns, likewise", "--board-size", least=SMALLEST_BOARD)
    batch_size: int = setting(32, "environments played in parallel, B", "--batch-size", least=1)
    rollout_length: int = setting(
        20, "steps per environment and inner update, T", "--rollout-length", least=1
    )
    time_limit: int = setting(5000, "steps after which an episode ends", least=1)
    outer_gamma: float = setting(0.99, "γ' of the outer loss", outer=True)
    outer_lambda: float = setting(0.99, "λ' of the outer loss", outer=True)
    maps: int = setting(32, "feature maps of each convolution block", least=1)
    torso: int = setting(40, "width of the shared linear layer", least=1)
    head: int = setting(30, "hidden width of the policy head and of the value head", least=1)
    conv_form: str = setting(
        "auto",
        "formulation of the convolutions, see `hessdiag.rl.conv.ConvPool`",
        choices=lambda: FORMS,
    )

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    about = About(
        summary="Jumanji's Snake, A2C with λ-returns; γ, λ, c_crit and c_entr are meta-learned",
        headline="return",
        choices=(
            "Rollout length 20 and the number of iterations: the paper gives neither.",
            "3×3 convolutions are zero padded, ReLU follows every layer but the outputs, weights "
            "start LeCun-normal and biases at zero.",
            "The learning curve is the mean return of the episodes that ended in training "
            "rollouts, actions sampled.",
            "The advantage of the outer loss uses the inner critic at the validated parameters, "
            "as a constant.",
        ),
        presets={
            "smoke": {
                "problem.rows": 6,
                "problem.cols": 6,
                "problem.batch_size": 16,
                "probe.max_matvecs": 24,
            },
        },
    )
    learning = Learning(
        learning_rate=6e-4, schedule="linear", clip_norm=10.0, meta_clip_norm=0.1
    )  # of Adam, as of the meta-optimiser

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """γ, λ, the critic's weight and the entropy's weight."""
        return (
            MetaParameter("gamma", 0.99),
            MetaParameter("lambda", 0.99),
            MetaParameter("c_crit", 0.5),
            MetaParameter("c_entr", 0.01),
        )

    @cached_property
    def environment(self) -> "VmapAutoResetWrapper":
        """Jumanji's environment, batched, resetting by itself."""
        return snake_environment(self.rows, self.cols, self.time_limit)

    @cached_property
    def network(self) -> BoardActorCritic:
        """Policy and value network; its parameters take JAX's default float type."""
        return BoardActorCritic(
            actions=4,
            maps=self.maps,
            torso=self.torso,
            head=self.head,
            conv_form=self.conv_form,
            param_dtype=jnp.zeros(()).dtype,
        )

    def start(self, eta, key):
        """Fresh parameters and a batch of reset environments."""
        del eta
        network_key, environment_key = jax.random.split(key)
        environments = reset(self.environment, environment_key, self.batch_size, observe=grid)
        return self.network.init(network_key, environments.observation), environments

    def rollout(self, params, hyper, env_state: EnvironmentState, key):
        """Play `rollout_length` steps in every environment, no action mask."""
        del hyper
        params = jax.lax.stop_gradient(params)
        return rollout(
            self.environment,
            lambda board: self.network.apply(params, board)[0],
            env_state,
            key,
            length=self.rollout_length,
            observe=grid,
        )

    def inner_loss(self, params, hyper: Hyper, trajectories: Trajectory):
        """A2C loss: policy + c_crit · critic − c_entr · entropy, a mean over B × T steps."""
        return self._inner(params, None, hyper, trajectories)

    def inner_loss_with_targets(self, params, target_params, hyper: Hyper, trajectories):
        """The inner loss with bootstrap targets and baseline of `target_params`, nothing stopped.

        Its gradient in `params` at equal parameters is that of `inner_loss`, a semi-gradient.
        """
        return self._inner(params, target_params, hyper, trajectories)

    def outer_loss(self, params, hyper, trajectories: Trajectory):
        """The policy term alone, with γ' and λ'."""
        del hyper
        return self._losses(params, trajectories, self.outer_gamma, self.outer_lambda).policy

    def metrics(self, params, trajectories: Trajectory) -> Mapping:
        """Mean return of the episodes that ended, how many did, and reward per step."""
        del params
        return episode_metrics(trajectories)

    def _inner(self, params, target_params, hyper: Hyper, trajectories: Trajectory):
        gamma, lam = hyper["gamma"], hyper["lambda"]
        losses = self._losses(params, trajectories, gamma, lam, target_params)
        return losses.policy + hyper["c_crit"] * losses.critic - hyper["c_entr"] * losses.entropy

    def _losses(
        self, params, trajectories: Trajectory, gamma, lam, target_params=None
    ) -> ActorCriticLosses:
        logits, v = self._outputs(params, trajectories)
        target_v = None if target_params is None else self._outputs(target_params, trajectories)[1]

        of_trajectory = partial(actor_critic_losses, gamma=gamma, lam=lam)
        losses = jax.vmap(of_trajectory)(logits[:, :-1], v, trajectories.transitions, target_v)
        return jax.tree.map(jnp.mean, losses)

    def _outputs(self, params, trajectories: Trajectory):
        """Logits (B, T + 1, A) and values (B, T + 1)."""
        boards = trajectories.observation  # (B, T + 1, rows, cols, 5)
        flat = boards.reshape(-1, *boards.shape[2:])
        logits, v = map(jnp.asarray, self.network.apply(params, flat))
        return logits.reshape(*boards.shape[:2], -1), v.reshape(boards.shape[:2])
