"""What a policy is to ascend in a tabular process: its exact return, or a surrogate on samples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.rl import tabular
from hessdiag.rl.surrogates import SURROGATES, discounted_return
from hessdiag.rl.tabular import Episodes, TabularMDP

EXACT = "exact"
OBJECTIVES = (EXACT, *SURROGATES)


class Sampled(NamedTuple):
    """A batch of trajectories, with what a critic of the policy behind them is made of."""

    mdp: TabularMDP  # the process that was sampled
    episodes: Episodes
    behaviour: Float[Array, "S A"]  # the policy that they were sampled from
    noise: Float[Array, " S"]  # standard normal, of the critic; drawn with each batch
    share: Float[Array, " N"] | None = None  # of the batch that each is; equal ones if None


def draw(
    mdp: TabularMDP,
    theta: Float[Array, "S A"],
    key: PRNGKeyArray,
    trajectories: int,
    length: int,
) -> Sampled:
    """N trajectories of T steps under the softmax of θ."""
    episodes_key, noise_key = jax.random.split(key)
    probs = tabular.policy(theta)
    episodes = tabular.sample(mdp, probs, episodes_key, trajectories, length)
    return Sampled(mdp, episodes, probs, jax.random.normal(noise_key, probs.shape[:1], probs.dtype))


def objective(
    name: str,
    mdp: TabularMDP,
    theta: Float[Array, "S A"],
    sampled: Sampled,
    critic: Float[Array, " S"],
    lam: float = 1.0,
) -> Float[Array, ""]:
    """V(s_0) where the name is `EXACT`, else the surrogate of that name.

    Rewards are those of the process that is given, which need not be the one that was sampled.
    """
    if name == EXACT:
        return tabular.expected_return(mdp, tabular.policy(theta))
    if sampled.share is not None:
        return sampled.share @ objectives(name, mdp, theta, sampled, critic, lam)
    return SURROGATES[name](*_seen(mdp, theta, sampled, critic), mdp.discount, lam)


def objectives(
    name: str,
    mdp: TabularMDP,
    theta: Float[Array, "S A"],
    sampled: Sampled,
    critic: Float[Array, " S"],
    lam: float = 1.0,
) -> Float[Array, " N"]:
    """Of every trajectory, the `objective` being their mean; an exact one is the same for all."""
    if name == EXACT:
        exact = tabular.expected_return(mdp, tabular.policy(theta))
        return jnp.broadcast_to(exact, sampled.episodes.actions.shape[:1])

    def of_one(*seen):
        return SURROGATES[name](*(each[None] for each in seen), mdp.discount, lam)

    return jax.vmap(of_one)(*_seen(mdp, theta, sampled, critic))


def _seen(mdp: TabularMDP, theta, sampled: Sampled, critic):
    """Log-probabilities, rewards and values of all steps."""
    states, actions, _ = sampled.episodes
    rewards = mdp.rewards[states[:, :-1], actions]
    return tabular.log_prob(theta, sampled.episodes), rewards, critic[states]


def estimated_return(
    name: str,
    mdp: TabularMDP,
    theta: Float[Array, "S A"],
    sampled: Sampled,
    critic: Float[Array, " S"],
) -> Float[Array, ""]:
    """The return whose derivative that of `objective` is, or estimates."""
    if name == EXACT:
        return tabular.expected_return(mdp, tabular.policy(theta))
    states, _, rewards = sampled.episodes
    to_come = None if name == "dice" else critic[states]
    return discounted_return(rewards, to_come, mdp.discount).mean()
