"""Jumanji's Snake, learned by A2C with λ-returns (Bonnet et al. 2021, table 2)."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import jax.numpy as jnp

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.actor_critic import ActorCriticProblem
from hessdiag.problems.base import About
from hessdiag.rl.conv import FORMS
from hessdiag.rl.networks import BoardActorCritic
from hessdiag.rl.snake_environment import grid, snake_environment

if TYPE_CHECKING:
    from jumanji.wrappers import VmapAutoResetWrapper

SMALLEST_BOARD = 4  # two 2×2 poolings leave one cell


@dataclass(frozen=True)
class Snake(ActorCriticProblem):
    """The game of Snake: one fruit is one point, collision or leaving the board ends it."""

    rows: int = setting(
        12,
        "rows of the board, halved twice by the network",
        "--board-size",
        least=SMALLEST_BOARD,
        most=1000,
    )
    cols: int = setting(12, "columns, likewise", "--board-size", least=SMALLEST_BOARD, most=1000)
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

    observe = staticmethod(grid)

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
