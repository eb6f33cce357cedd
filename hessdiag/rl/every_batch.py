"""Every batch of trajectories that a tiny tabular process can give, with its likelihood.

A batch of N trajectories is told by how often each of the K possible ones is in it: a multinomial
distribution over C(N + K − 1, K − 1) outcomes, as the order does not matter to a mean.
"""

import math
from itertools import combinations, product

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import gammaln

from hessdiag.errors import UsageError
from hessdiag.rl import tabular
from hessdiag.rl.tabular import Episodes, TabularMDP

MOST = 1_000_000  # batches


def every_trajectory(mdp: TabularMDP, length: int) -> Episodes:
    """All K trajectories of T steps whose probability is not zero; the process is no tracer."""
    transitions, rewards = np.asarray(mdp.transitions), np.asarray(mdp.rewards)
    walks: list[tuple[list[int], list[int]]] = [([int(mdp.start)], [])]
    for _ in range(length):
        walks = [
            ([*states, int(after)], [*actions, action])
            for (states, actions), action in product(walks, range(transitions.shape[1]))
            for after in np.flatnonzero(transitions[states[-1], action])
        ]
        _refuse(len(walks), "trajectories")
    states, actions = (np.array(each) for each in zip(*walks, strict=True))
    return Episodes(*map(jnp.asarray, (states, actions, rewards[states[:, :-1], actions])))


def log_likelihoods(
    mdp: TabularMDP, theta: Float[Array, "S A"], episodes: Episodes
) -> Float[Array, " K"]:
    """Of every trajectory, transitions included."""
    states, actions, _ = episodes
    onward = jnp.log(mdp.transitions[states[:, :-1], actions, states[:, 1:]])
    return jnp.sum(tabular.log_prob(theta, episodes) + onward, axis=-1)


def every_count(trajectories: int, kinds: int) -> Int[np.ndarray, "M K"]:
    """How often each of K kinds is among N, in every way: the gaps between K − 1 bars.

    Raises:
        UsageError: there are too many ways.
    """
    _refuse(math.comb(trajectories + kinds - 1, kinds - 1), "batches")
    places = trajectories + kinds - 1
    bars = np.array([*combinations(range(places), kinds - 1)], dtype=int)
    ends = (np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), places))
    return np.diff(np.concatenate(ends, axis=1), axis=1) - 1


def likelihoods(
    counts: Int[np.ndarray, "M K"], log_likely: Float[Array, " K"]
) -> Float[Array, " M"]:
    """Multinomial, of every batch."""
    orders = gammaln(counts.sum(axis=-1) + 1.0) - gammaln(counts + 1.0).sum(axis=-1)
    return jnp.exp(orders + counts.astype(float) @ log_likely)


def _refuse(number: int, what: str) -> None:
    if number > MOST:
        raise UsageError(
            f"problem.batch_size: there are {number:,} {what} to enumerate; allowed: {MOST:,}, as "
            "with fewer trajectories, steps or actions, or a smaller problem.concentration"
        )
