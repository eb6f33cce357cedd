"""What the problems on a random tabular process share."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hessdiag.declared import check_fields, setting
from hessdiag.rl import tabular
from hessdiag.rl.objectives import OBJECTIVES, Sampled, draw, estimated_return, objective
from hessdiag.rl.surrogates import spliced
from hessdiag.rl.tabular import TabularMDP

SAME = "same"


@dataclass(frozen=True)
class TabularProblem:
    """A softmax policy, a table of logits, in a process drawn from a seed of its own.

    Inner and outer loss are minus an objective each: the exact return or a surrogate on samples.
    """

    batch_size: int = setting(32, "trajectories per update, N", "--batch-size", least=1)
    rollout_length: int = setting(20, "steps of a trajectory, T", "--rollout-length", least=1)
    surrogate: str = setting(
        "ad", "what inner updates ascend: exact, or a surrogate", choices=lambda: OBJECTIVES
    )
    hessian: str = setting(
        SAME,
        "what inner updates are differentiated as; same: as what they ascend",
        choices=lambda: (SAME, *OBJECTIVES),
    )
    outer: str = setting("ad", "what the outer loss is minus of", choices=lambda: OBJECTIVES)
    states: int = setting(20, "states of the process", least=1, most=1000)
    actions: int = setting(5, "actions", least=1, most=50)
    concentration: float = setting(0.001, "of the Dirichlet that transitions are from", above=0)
    gamma: float = setting(0.8, "discount", least=0, below=1)
    mdp_seed: int = setting(0, "seed of the process", least=0, most=2**32 - 1)
    critic_noise: float = setting(0.05, "noise of the critic, times the norm of values", least=0)

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    @property
    def mdp(self) -> TabularMDP:
        """The process, in JAX's default float type."""
        of = (self.mdp_seed, self.states, self.actions, self.concentration, self.gamma)
        return _process(*of, is_double=bool(jax.config.jax_enable_x64))

    def hyper(self, eta):
        """Tables, as they are."""
        return eta

    def rollout(self, params, hyper, env_state, key):
        """Whole trajectories, from the start state of the process that `env_state` is."""
        del hyper
        logits = params["logits"]
        return env_state, draw(env_state, logits, key, self.batch_size, self.rollout_length)

    def outer_loss(self, params, hyper, trajectories: Sampled):
        """Minus the outer objective."""
        del hyper
        mdp, critic = trajectories.mdp, self._critic(trajectories.mdp, trajectories)
        return -objective(self.outer, mdp, params["logits"], trajectories, critic)

    def outer_value(self, params, hyper, trajectories: Sampled):
        """Minus the return that the outer loss is a surrogate of."""
        del hyper
        mdp, critic = trajectories.mdp, self._critic(trajectories.mdp, trajectories)
        return -estimated_return(self.outer, mdp, params["logits"], trajectories, critic)

    def log_prob(self, params, hyper, trajectories: Sampled) -> Float[Array, " N"]:
        """Of the actions of each trajectory."""
        del hyper
        return jnp.sum(tabular.log_prob(params["logits"], trajectories.episodes), axis=-1)

    def metrics(self, params, trajectories: Sampled) -> Mapping:
        """The exact value V(s_0) of the policy, and the mean reward of a sampled step."""
        return {
            "value": tabular.expected_return(trajectories.mdp, tabular.policy(params["logits"])),
            "reward_per_step": jnp.mean(trajectories.episodes.rewards),
        }

    def _logits(self) -> Float[Array, "S A"]:
        """Of the uniform policy."""
        return jnp.zeros((self.states, self.actions))

    def _critic(self, mdp: TabularMDP, trajectories: Sampled) -> Float[Array, " S"]:
        return tabular.noisy_values(
            mdp, trajectories.behaviour, trajectories.noise, self.critic_noise
        )

    def _inner_loss(self, params, mdp: TabularMDP, trajectories: Sampled, critic, lam=1.0):
        """Minus the inner objective in a process, differentiated as the setting says."""

        def loss(name: str):
            return lambda params: -objective(name, mdp, params["logits"], trajectories, critic, lam)

        if self.hessian in (SAME, self.surrogate):
            return loss(self.surrogate)(params)
        return spliced(loss(self.surrogate), loss(self.hessian))(params)


@lru_cache(maxsize=64)
def _process(
    seed: int, states: int, actions: int, concentration: float, gamma: float, *, is_double: bool
) -> TabularMDP:
    """Drawn once: its draws are slow to run, and always the same."""
    with jax.ensure_compile_time_eval(), jax.enable_x64(is_double):
        return tabular.random_mdp(jax.random.key(seed), states, actions, concentration, gamma)
