"""n inner updates ahead, each on freshly sampled trajectories (Bonnet et al. 2021, eq. 5)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from hessdiag.meta.inner_update import Eta, InnerState, InnerUpdate
from hessdiag.problems import Problem


class Unroll(NamedTuple):
    """n inner updates; the leaves of all fields but the last are stacked."""

    states: InnerState  # x^(0) … x^(n)
    trajectories: Any  # τ^(0) … τ^(n−1), sampled from θ^(0) … θ^(n−1): what the updates learn from
    validation: Any  # τ̃^(1) … τ̃^(n), or τ̃^(n) alone, sampled from θ^(i)
    linearised: Any  # gradients of the updates with their derivatives, stacked; or None
    env_state: Any  # after τ^(0): where training continues


def inner_sample(problem: Problem, params, env_state, key: PRNGKeyArray, j: Int[Array, ""] | int):
    """(environment state, τ^(j)): the trajectories that inner step j learns from, as constants.

    Their randomness depends on `key` and j alone, so that unrolls of different lengths share
    their beginnings (common random numbers).
    """
    own_key = jax.random.fold_in(key, 2 * j)
    return jax.lax.stop_gradient(problem.rollout(params, env_state, own_key))


def validation_sample(
    problem: Problem, params, env_state, key: PRNGKeyArray, i: Int[Array, ""] | int
):
    """τ̃^(i): the trajectories that θ^(i) is validated on, as constants, independent of all τ."""
    own_key = jax.random.fold_in(key, 2 * i + 1)
    return jax.lax.stop_gradient(problem.rollout(params, env_state, own_key)[1])


def unroll(
    update: InnerUpdate,
    state: InnerState,
    eta: Eta,
    env_state: Any,
    key: PRNGKeyArray,
    *,
    n: int,
    validate_all: bool = False,
    store: bool = False,
) -> Unroll:
    """Take n inner updates from `state`; differentiable in η through every update.

    Args:
        update: the inner update.
        state: x_t.
        eta: meta-parameters, frozen through the unroll.
        env_state: the environments' state, which every rollout continues.
        key: randomness of all rollouts.
        n: number of inner updates, n ≥ 1.
        validate_all: validate every θ^(i), not θ^(n) alone.
        store: keep the linearisation of every inner gradient, for a reverse sweep.
    """
    problem = update.problem

    def step(now, j):
        state, env_state = now
        env_state, trajectories = inner_sample(problem, state.params, env_state, key, j)
        linearised = validation = None
        if store:
            linearised = update.linearised_gradient(state.params, eta, trajectories)
            after = update.apply(state, linearised[0])
        else:
            after = update(state, eta, trajectories)
        if validate_all:
            validation = validation_sample(problem, after.params, env_state, key, j + 1)
        return (after, env_state), (state, trajectories, validation, linearised, env_state)

    (end, end_env), seen = jax.lax.scan(step, (state, env_state), jnp.arange(n))
    states, trajectories, validation, linearised, env_states = seen
    if not validate_all:
        last = validation_sample(problem, end.params, end_env, key, n)
        validation = jax.tree.map(lambda leaf: leaf[None], last)
    states = jax.tree.map(lambda stack, leaf: jnp.concatenate([stack, leaf[None]]), states, end)
    return Unroll(states, trajectories, validation, linearised, point(env_states, 0))


def point(stacked: Any, i: int) -> Any:
    """Entry i of every stacked leaf."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
