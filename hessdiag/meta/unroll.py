"""n inner updates ahead, each on freshly sampled trajectories (Bonnet et al. 2021, eq. 5)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hessdiag.inner.update import InnerState, InnerUpdate
from hessdiag.meta.sources import sources
from hessdiag.meta.start import Start
from hessdiag.problems import Problem


class Unroll(NamedTuple):
    """n inner updates; the leaves of all fields but the last are stacked."""

    states: InnerState  # x^(0) … x^(n)
    trajectories: Any  # τ^(0) … τ^(n−1), sampled from θ^(0) … θ^(n−1): what the updates learn from
    validation: Any  # τ̃^(1) … τ̃^(n), or τ̃^(n) alone, sampled from θ^(i)
    linearised: Any  # gradients of the updates with their derivatives, stacked; or None
    env_state: Any  # after τ^(0): where training continues


def inner_sample(problem: Problem, params, env_state, key: PRNGKeyArray):
    """(environment state, τ^(j)): the trajectories that an inner step learns from, as constants."""
    return jax.lax.stop_gradient(problem.rollout(params, env_state, key))


def validation_sample(problem: Problem, params, env_state, key: PRNGKeyArray):
    """τ̃^(i): the trajectories that θ^(i) is validated on, as constants, independent of all τ."""
    return jax.lax.stop_gradient(problem.rollout(params, env_state, key)[1])


def unroll(
    update: InnerUpdate,
    start: Start,
    key: PRNGKeyArray,
    *,
    n: int,
    validate_all: bool = False,
    store: bool = False,
) -> Unroll:
    """Take n inner updates from x_t; differentiable in η through every update.

    Args:
        update: the inner update.
        start: x_t, η_t and the environments' state.
        key: randomness of all rollouts.
        n: number of inner updates, n ≥ 1.
        validate_all: validate every θ^(i), not θ^(n) alone.
        store: keep the linearisation of every inner gradient, for a reverse sweep.
    """
    problem, eta = update.problem, start.eta
    drawn = sources(key, n)

    def step(now, keys):
        state, env_state = now
        env_state, trajectories = inner_sample(problem, state.params, env_state, keys.inner)
        linearised = validation = None
        if store:
            linearised = update.linearised_gradient(state.params, eta, trajectories)
            after = update.apply(state, linearised[0])
        else:
            after = update(state, eta, trajectories)
        if validate_all:
            validation = validation_sample(problem, after.params, env_state, keys.validation[0])
        return (after, env_state), (state, trajectories, validation, linearised, env_state)

    (end, end_env), seen = jax.lax.scan(step, (start.inner, start.env_state), drawn)
    states, trajectories, validation, linearised, env_states = seen
    if not validate_all:
        last = validation_sample(problem, end.params, end_env, drawn.validation[-1, 0])
        validation = jax.tree.map(lambda leaf: leaf[None], last)
    states = jax.tree.map(lambda stack, leaf: jnp.concatenate([stack, leaf[None]]), states, end)
    return Unroll(states, trajectories, validation, linearised, point(env_states, 0))


def point(stacked: Any, i: int) -> Any:
    """Entry i of every stacked leaf."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
