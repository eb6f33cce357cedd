"""A2C in an environment of Jumanji or of gymnax, by its name: `--env gymnax:Breakout-MinAtar`."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.actor_critic import ActorCriticProblem
from hessdiag.problems.base import About, MetaParameter
from hessdiag.rl.batched import Batch, gymnax_batch, jumanji_batch
from hessdiag.rl.networks import BoardActorCritic, VectorActorCritic

LIBRARIES = {"jumanji": jumanji_batch, "gymnax": gymnax_batch}
_SMALLEST_BOARD = 4  # two 2×2 poolings leave one cell


@dataclass(frozen=True)
class AnyEnvironment(ActorCriticProblem):
    """Snake's losses and meta-parameters in another environment; the network follows what it sees.

    A board with a last axis of features gets two convolution blocks, all else two hidden layers.
    """

    batch_size: int = setting(32, "environments played in parallel, B", "--batch-size", least=1)
    rollout_length: int = setting(
        20, "steps per environment and inner update, T", "--rollout-length", least=1
    )
    outer_gamma: float = setting(0.99, "γ' of the outer loss", outer=True)
    outer_lambda: float = setting(0.99, "λ' of the outer loss", outer=True)
    start_lambda: float = setting(0.99, "λ at the start of training", above=0, below=1)
    maps: int = setting(16, "feature maps of each convolution block", least=1)
    hidden: int = setting(64, "width of the hidden layers, and of a board's linear layer", least=1)
    by_ratio: bool = setting(
        False, "whether the inner policy loss has π / sg(π) in place of log π (LVC)"
    )

    library = ""
    name = ""
    about = About(
        summary="A2C in an environment of another library",
        headline="return",
        choices=(
            "An episode that a time limit ends counts as ended.",
            "No action is masked; integers that are seen come as sign(x) log(1 + |x|).",
            "Network, batch and rollout length are ours.",
        ),
        presets={"smoke": {"problem.batch_size": 8, "problem.rollout_length": 10, "n": 2}},
    )
    learning = Learning(learning_rate=7e-4, clip_norm=0.5, meta_clip_norm=0.1)

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """Those of A2C; where λ starts is a setting."""
        return tuple(
            dataclasses.replace(p, start=self.start_lambda) if p.name == "lambda" else p
            for p in super().meta_parameters
        )

    @cached_property
    def _batch(self) -> Batch:
        return LIBRARIES[self.library](self.name)

    @property
    def environment(self) -> Any:
        """Batched, resetting by itself."""
        return self._batch.environment

    @property
    def observe(self):
        """What the network sees of an observation."""
        return self._batch.observe

    @cached_property
    def network(self) -> BoardActorCritic | VectorActorCritic:
        """By the shape of what it sees; its parameters take JAX's default float type."""
        shape, dtype = self._shape, jnp.zeros(()).dtype
        if len(shape) == 3 and min(shape[:2]) >= _SMALLEST_BOARD:
            return BoardActorCritic(
                self._batch.actions, maps=self.maps, torso=self.hidden, param_dtype=dtype
            )
        return VectorActorCritic(self._batch.actions, self.hidden, param_dtype=dtype)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        """Of what is seen of one environment."""
        keys = jax.eval_shape(lambda: jax.random.key_data(jax.random.split(jax.random.key(0), 1)))
        first = jax.eval_shape(lambda keys: self.environment.reset(keys)[1].observation, keys)
        return jax.eval_shape(self.observe, first).shape[1:]


@lru_cache
def named(library: str, name: str) -> type[AnyEnvironment]:
    """The problem of one environment: the same class for the same name."""
    about = dataclasses.replace(AnyEnvironment.about, summary=f"A2C in {name} of {library}")
    members: Mapping[str, Any] = {"library": library, "name": name, "about": about}
    return type("AnyEnvironment", (AnyEnvironment,), dict(members))
