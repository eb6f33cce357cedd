"""Tabular Markov decision processes: exact values of a policy, and samples of it.

The random ones are those of Liu et al. 2022: next to deterministic transitions, and a reward per
state and action. Values are differentiable to any order.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


class TabularMDP(NamedTuple):
    """A decision process without an end; rewards are deterministic."""

    transitions: Float[Array, "S A S"]  # P(s' | s, a)
    rewards: Float[Array, "S A"]
    discount: float  # γ
    start: int  # s_0


class Episodes(NamedTuple):
    """N trajectories of T steps from the start state."""

    states: Int[Array, "N T+1"]
    actions: Int[Array, "N T"]
    rewards: Float[Array, "N T"]


def random_mdp(
    key: PRNGKeyArray,
    states: int = 20,
    actions: int = 5,
    concentration: float = 0.001,
    discount: float = 0.8,
) -> TabularMDP:
    """P(· | s, a) ~ Dirichlet(concentration), rewards ~ U(0, 1), starting in state 0.

    A small concentration underflows outside of logarithms. A key gives the same process in either
    precision: draws are in single, rows sum to one in the default one.
    """
    transitions_key, rewards_key = jax.random.split(key)
    dtype = jnp.zeros(()).dtype
    shape = (states, actions, states)
    log_gamma = jax.random.loggamma(transitions_key, concentration, shape, jnp.float32)
    rewards = jax.random.uniform(rewards_key, (states, actions), jnp.float32)
    transitions = jax.nn.softmax(log_gamma.astype(dtype), axis=-1)
    return TabularMDP(transitions, rewards.astype(dtype), discount, 0)


def policy(theta: Float[Array, "S A"]) -> Float[Array, "S A"]:
    """π(a | s), the softmax of a table of logits."""
    return jax.nn.softmax(theta, axis=-1)


def values(mdp: TabularMDP, probs: Float[Array, "S A"]) -> Float[Array, " S"]:
    """V = (I − γ P_π)⁻¹ r_π."""
    onward, paid = _under(mdp, probs)
    return jnp.linalg.solve(jnp.eye(len(paid), dtype=paid.dtype) - mdp.discount * onward, paid)


def noisy_values(
    mdp: TabularMDP, probs: Float[Array, "S A"], noise: Float[Array, " S"], scale: float = 1 / 20
) -> Float[Array, " S"]:
    """What a learned critic may be: V + scale ‖V‖₂ · noise, the second term a constant."""
    exact = values(mdp, probs)
    return exact + jax.lax.stop_gradient(scale * jnp.linalg.norm(exact) * noise)


def expected_return(mdp: TabularMDP, probs: Float[Array, "S A"]) -> Float[Array, ""]:
    """V(s_0)."""
    return values(mdp, probs)[mdp.start]


def truncated_return(
    mdp: TabularMDP,
    probs: Float[Array, "S A"],
    length: int,
    bootstrap: Float[Array, " S"] | None = None,
) -> Float[Array, ""]:
    """E Σ_{t<T} γ^t r_t + γ^T v(s_T), with v the `bootstrap`, or zero: what T steps can tell."""
    onward, paid = _under(mdp, probs)
    to_come = jnp.zeros_like(paid) if bootstrap is None else bootstrap

    def backwards(v, _):
        return paid + mdp.discount * onward @ v, None

    return jax.lax.scan(backwards, to_come, length=length)[0][mdp.start]


def sample(
    mdp: TabularMDP, probs: Float[Array, "S A"], key: PRNGKeyArray, trajectories: int, length: int
) -> Episodes:
    """N trajectories of T steps, all from the start state."""
    log_probs, log_onward = jnp.log(probs), jnp.log(mdp.transitions)

    def step(states, key):
        action_key, state_key = jax.random.split(key)
        actions = jax.random.categorical(action_key, log_probs[states])
        after = jax.random.categorical(state_key, log_onward[states, actions])
        return after, (states, actions, mdp.rewards[states, actions])

    first = jnp.full(trajectories, mdp.start)
    last, (states, actions, rewards) = jax.lax.scan(step, first, jax.random.split(key, length))
    return Episodes(jnp.concatenate([states, last[None]]).T, actions.T, rewards.T)


def log_prob(theta: Float[Array, "S A"], episodes: Episodes) -> Float[Array, "N T"]:
    """Log π(a_t | s_t) of every step, from the logits."""
    return jax.nn.log_softmax(theta, axis=-1)[episodes.states[:, :-1], episodes.actions]


def _under(mdp: TabularMDP, probs) -> tuple[Float[Array, "S S"], Float[Array, " S"]]:
    """(P_π, r_π)."""
    onward = jnp.einsum("sa,sat->st", probs, mdp.transitions)
    return onward, jnp.sum(probs * mdp.rewards, axis=-1)
