"""Batched rollouts of a Jumanji environment under a policy, continuing where they stopped."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.rl.actor_critic import Transitions


class EnvironmentState(NamedTuple):
    """What the next rollout continues from; every leaf has a leading batch axis."""

    state: Any  # the environment's own state
    observation: Float[Array, "B ..."]
    episode_return: Float[Array, " B"]  # undiscounted, so far


class Trajectory(NamedTuple):
    """A batch of B trajectories of T steps."""

    observation: Float[Array, "B T+1 ..."]
    transitions: Transitions  # leaves (B, T)
    finished_return: Float[Array, "B T"]  # return of the episode that ended here, else 0


def reset(environment, key: PRNGKeyArray, batch_size: int, *, observe) -> EnvironmentState:
    """Reset a batch of environments; Jumanji's take raw uint32 keys."""
    state, timestep = environment.reset(jax.random.key_data(jax.random.split(key, batch_size)))
    return EnvironmentState(state, observe(timestep.observation), jnp.zeros(batch_size))


def rollout(
    environment,
    policy_logits: Callable[[Float[Array, "B ..."]], Float[Array, "B A"]],
    start: EnvironmentState,
    key: PRNGKeyArray,
    *,
    length: int,
    observe: Callable[[Any], Array],
) -> tuple[EnvironmentState, Trajectory]:
    """Play on in every environment of the batch, actions sampled from the policy.

    Args:
        environment: a Jumanji environment, vmapped and with auto-reset.
        policy_logits: batch of observations → batch of action logits.
        start: where to continue.
        key: randomness of the actions (the environments carry their own).
        length: steps per environment, T.
        observe: Jumanji observation → the array that the policy sees.
    """

    def step(now: EnvironmentState, key: PRNGKeyArray):
        action = jax.random.categorical(key, policy_logits(now.observation))
        state, timestep = environment.step(now.state, action)
        total = now.episode_return + timestep.reward
        done = timestep.last()
        after = EnvironmentState(state, observe(timestep.observation), jnp.where(done, 0.0, total))
        seen = Transitions(action, timestep.reward, timestep.discount)
        return after, (now.observation, seen, jnp.where(done, total, 0.0))

    end, (observation, seen, finished) = jax.lax.scan(step, start, jax.random.split(key, length))
    observation = jnp.concatenate([observation, end.observation[None]])
    stacked = Trajectory(observation, seen, finished)
    return end, jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), stacked)


def episode_metrics(trajectories: Trajectory) -> Mapping[str, Float[Array, ""]]:
    """Mean return of the episodes that ended, how many did, and reward per step."""
    episodes = jnp.sum(trajectories.transitions.discount == 0.0)
    return {
        "return": jnp.sum(trajectories.finished_return) / episodes,
        "episodes": episodes,
        "reward_per_step": jnp.mean(trajectories.transitions.reward),
    }
