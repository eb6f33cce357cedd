"""The discounting chain, learned with an exact critic (Bonnet et al. 2022).

The first of T = 100 actions decides when the only reward of an episode comes and how large it is:
Osband et al. 2020, bsuite's discounting chain, as gymnax 0.0.5 steps it with its third mapping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hessdiag.declared import check_fields, setting
from hessdiag.learning import Learning
from hessdiag.problems.base import About, Hyper, MetaParameter
from hessdiag.problems.loss_terms import LossTerms, total
from hessdiag.problems.scalars import NamedScalars
from hessdiag.rl.standardise import standardised

STEPS = 100
ARRIVALS = np.array([1, 3, 10, 30, 100])  # the step at whose end the reward of an arm comes
SIZES = np.array([1.0, 1.0, 1.0, 1.1, 1.0])
ARMS = len(ARRIVALS)
OUTER_GAMMA = 1.0

_LATER = np.arange(STEPS) > 0
_OBSERVATIONS = np.stack(  # (C, T, 2): the arm and the time; at first no arm is taken
    np.broadcast_arrays(
        np.where(_LATER[None, :], np.arange(ARMS)[:, None], -1), np.arange(STEPS)[None, :] / STEPS
    ),
    axis=-1,
)
_REWARDS = np.where(np.arange(1, STEPS + 1)[None, :] == ARRIVALS[:, None], SIZES[:, None], 0.0)


class Batch(NamedTuple):
    """What losses need of a batch of episodes: what happened how often."""

    share: Float[Array, "C T A"]  # of episodes that took arm c at first and action a at step t
    gamma: Float[Array, ""]  # γ while they were played


@dataclass(frozen=True)
class DiscountingChain(NamedScalars):
    """Five arms with delayed rewards; γ is meta-learned between 0.9 and 1.

    States are (arm, time), and actions after the first one change nothing: all steps are sampled
    at once, and losses are sums over the C × T states weighted by how often they were visited.
    """

    batch_size: int = setting(128, "episodes per inner update, B", "--batch-size", least=1)
    outer_critic: bool = setting(
        False, "value the outer advantage at γ' = 1 rather than at γ", outer=True
    )
    normalise_advantages: bool = setting(False, "standardise the advantages of both losses")
    entropy: float = setting(0.005, "weight of the entropy in both losses", least=0)
    start_gamma: float = setting(0.95, "γ at the start of training", above=0.9, below=1)
    extra_discount: bool = setting(
        True, "one γ too many in the value of the first state, as published"
    )

    def __post_init__(self):
        """Refuse what the fields do not allow."""
        check_fields(self, "problem.")

    about = About(
        summary="discounting chain: five delayed rewards, exact critic; γ is meta-learned",
        headline="return",
        followed=("outer_advantage",),
        choices=(
            "The value of the first state has one γ more than the state's true value, as in the "
            "published code; problem.extra_discount=false leaves it out. It is a baseline: "
            "expected gradients do not change, plotted outer advantages do.",
            "The outer advantage that is recorded is that of the training episodes at θ, before "
            "the inner update, standardised where losses standardise; the published one is of "
            "validation episodes after it.",
            "Actions come from one uniform number each, by the inverse of the distribution "
            "function.",
        ),
        presets={
            "smoke": {"n": 1, "train.iterations": 200},
            "laptop": {"n": 1, "train.iterations": 5000},
            "paper": {"n": 1, "train.iterations": 50_000, "probe.chunk": 32},
        },
    )
    learning = Learning(optimiser="sgd", learning_rate=0.5, meta_learning_rate=0.1)

    @property
    def meta_parameters(self) -> Sequence[MetaParameter]:
        """γ = 0.9 + 0.1 · sigmoid(η)."""
        return (MetaParameter("gamma", self.start_gamma, between=(0.9, 1.0)),)

    def start(self, eta, key):
        """One linear layer from (arm, time) to logits; every batch is of whole episodes."""
        del eta
        dtype = jnp.zeros(()).dtype
        scaling = jax.nn.initializers.variance_scaling(1e-4, "fan_in", "truncated_normal")
        return {"w": scaling(key, (2, ARMS), dtype), "b": jnp.zeros(ARMS, dtype)}, ()

    def rollout(self, params, hyper: Hyper, env_state, key):
        """A batch of whole episodes, counted."""
        return env_state, Batch(tally(self.actions(params, key)), hyper["gamma"])

    def actions(self, params, key) -> Int[Array, "B T"]:
        """All actions of a batch of episodes; the first one is the arm."""
        uniform = jax.random.uniform(key, (self.batch_size, STEPS))
        below = jnp.cumsum(jnp.exp(log_policy(params)), axis=-1)[..., :-1]  # (C, T, A − 1)
        arm = jnp.sum(uniform[:, :1] >= below[0, 0][None], axis=-1)  # the same for all c at t = 0
        return jnp.sum(uniform[..., None] >= below[arm], axis=-1)

    def inner_loss(self, params, hyper: Hyper, trajectories: Batch):
        """Policy gradient loss at γ with the exact critic at γ, and entropy, a mean over B × T.

        Nothing is differentiated through values: γ counts where it multiplies the next one.
        """
        return total(self.inner_loss_terms(params, hyper, trajectories))

    def inner_loss_terms(self, params, hyper: Hyper, trajectories: Batch) -> LossTerms:
        """Its two terms, with their signs and weights: the critic is exact, and not learned."""
        gamma = hyper["gamma"]
        return self._terms(params, self.advantages(params, gamma, gamma), trajectories.share)

    def outer_loss(self, params, hyper: Hyper, trajectories: Batch):
        """The same with γ' = 1 and the critic at γ, or at γ' where there is an outer critic."""
        advantages = self._outer_advantages(params, hyper["gamma"])
        return total(self._terms(params, advantages, trajectories.share))

    def outer_aim(self, params, hyper, trajectories: Batch):
        """What the outer loss is a surrogate of, with its sign: return per step, negative."""
        del params, hyper
        arms = jnp.sum(trajectories.share[:, 0], axis=-1)
        return -jnp.sum(arms * jnp.asarray(SIZES, arms.dtype)) / STEPS

    def divergence(self, params, target_params, hyper, trajectories):
        """KL(π_target ‖ π) at the first observation."""
        del hyper, trajectories
        target, here = (log_policy(at)[0, 0] for at in (target_params, params))
        return jnp.sum(jnp.exp(target) * (target - here))

    def metrics(self, params, trajectories: Batch) -> Mapping:
        """Mean return, and mean outer advantage of the first action, as the outer loss has it."""
        arms = jnp.sum(trajectories.share[:, 0], axis=-1)
        advantages = self._outer_advantages(params, trajectories.gamma)
        first = self._scaled(advantages, trajectories.share)[:, 0]
        return {
            "return": jnp.sum(arms * jnp.asarray(SIZES, arms.dtype)),
            "outer_advantage": jnp.sum(arms * first),
        }

    def values(self, params, gamma) -> Float[Array, "C T+1"]:
        """The exact values of all states at γ, constants; 0 after the last step."""
        after = jnp.arange(STEPS + 1)[None, :]
        arrivals, sizes = ARRIVALS[:, None], jnp.asarray(SIZES)[:, None]
        steps_left = arrivals - after - 1
        later = jnp.where(steps_left >= 0, sizes * gamma ** jnp.maximum(steps_left, 0), 0.0)
        delays = ARRIVALS - 1 + self.extra_discount
        first = jnp.sum(jnp.exp(log_policy(params)[0, 0]) * SIZES * gamma**delays)
        return jax.lax.stop_gradient(jnp.where(after == 0, first, later))

    def advantages(self, params, gamma, critic_gamma) -> Float[Array, "C T"]:
        """Of all states, r + γ V(s') − V(s), V the exact values at another γ."""
        values = self.values(params, critic_gamma)
        return jnp.asarray(_REWARDS, values.dtype) + gamma * values[:, 1:] - values[:, :-1]

    def _outer_advantages(self, params, gamma) -> Float[Array, "C T"]:
        return self.advantages(params, OUTER_GAMMA, OUTER_GAMMA if self.outer_critic else gamma)

    def _scaled(
        self, advantages: Float[Array, "C T"], share: Float[Array, "C T A"]
    ) -> Float[Array, "C T"]:
        """Standardised over the batch, where that is wanted."""
        if not self.normalise_advantages:
            return advantages
        return standardised(advantages, _visits(share))

    def _terms(
        self, params, advantages: Float[Array, "C T"], share: Float[Array, "C T A"]
    ) -> LossTerms:
        log_pi = log_policy(params)
        taken = jnp.sum(share * log_pi, axis=-1) / STEPS
        entropy = -jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1)
        gained = jnp.sum(self._scaled(advantages, share) * taken)
        weighted = self.entropy * jnp.sum(_visits(share) * entropy)
        return {"policy": -gained, "entropy": -weighted}


def _visits(share: Float[Array, "C T A"]) -> Float[Array, "C T"]:
    """How often each state is visited, of all steps."""
    return jnp.sum(share, axis=-1) / STEPS


def log_policy(params) -> Float[Array, "C T A"]:
    """The logarithms of π of all actions in all states; at t = 0 the same for all c."""
    logits = jnp.asarray(_OBSERVATIONS, params["w"].dtype) @ params["w"] + params["b"][None, None]
    return jax.nn.log_softmax(logits)


def tally(actions: Int[Array, "B T"]) -> Float[Array, "C T A"]:
    """The share of episodes of each arm that took each action at each step."""
    arms = jax.nn.one_hot(actions[:, 0], ARMS)
    taken = jax.nn.one_hot(actions, ARMS)
    return jnp.einsum("bc,bta->cta", arms, taken) / len(actions)
