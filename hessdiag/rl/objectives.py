"""What a policy is to ascend in a tabular process: its exact return, or a surrogate on samples."""

from typing import NamedTuple

import jax
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
    states, actions, _ = sampled.episodes
    rewards = mdp.rewards[states[:, :-1], actions]
    log_probs = tabular.log_prob(theta, sampled.episodes)
    return SURROGATES[name](log_probs, rewards, critic[states], mdp.discount, lam)


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
