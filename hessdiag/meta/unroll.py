"""n inner updates ahead, each on freshly sampled trajectories (Bonnet et al. 2021, eq. 5)."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hessdiag.inner import InnerState, InnerStep, linearised_step
from hessdiag.meta.objectives import Objective, Outer
from hessdiag.meta.streams import Sources
from hessdiag.meta.system import Start, System


class Unroll(NamedTuple):
    """n inner updates; leaves are stacked."""

    states: InnerState  # x^(0) … x^(n)
    trajectories: Any  # τ^(0) … τ^(n−1), sampled from θ^(0) … θ^(n−1): what the updates learn from
    losses: Float[Array, " n"]  # L(θ^(j), η, τ^(j))
    outer: Outer | None  # the objective at θ^(1) … θ^(n), or at θ^(n) alone: (n or 1, R); or None
    steps: InnerStep | None  # the updates linearised, if they were stored
    env_states: Any  # after τ^(0) … τ^(n−1)


def unroll(
    system: System,
    start: Start,
    drawn: Sources,
    *,
    objective: Objective | None = None,
    memory: Any = (),
    at: Literal["all", "last"] = "all",
    store: bool = False,
) -> Unroll:
    """Take n inner updates from x^(0).

    Args:
        system: the problem and its inner update.
        start: x^(0), η and the environments' state.
        drawn: randomness of all rollouts, n steps of it.
        objective: what is evaluated at θ^(i); None for nothing.
        memory: what the objective remembers.
        at: evaluate it at every θ^(i), or at θ^(n) alone.
        store: keep the linearisation of every update, for a reverse sweep.
    """
    eta = start.eta

    def evaluate(state, env_state, keys) -> Outer | None:
        if objective is None:
            return None
        draw = partial(objective, system, state, eta, env_state)
        return jax.lax.map(lambda key: draw(key, memory), keys)

    def step(carry, keys):
        state, env_state = carry
        env_state, trajectories = system.rollout(state.params, eta, env_state, keys.inner)
        linearised = None
        if store:
            linearised = linearised_step(system.update, state, trajectories, eta, with_eta=True)
            loss, gradient = linearised.loss, linearised.params.unravel(linearised.gradient)
        else:
            loss, gradient = jax.value_and_grad(system.update.loss)(state.params, eta, trajectories)
        after = system.update.apply(state, gradient, eta, trajectories)
        outer = evaluate(after, env_state, keys.validation) if at == "all" else None
        return (after, env_state), (state, trajectories, loss, outer, linearised, env_state)

    (end, end_env), seen = jax.lax.scan(step, (start.inner, start.env_state), drawn)
    states, trajectories, losses, outer, steps, env_states = seen
    if at == "last":
        last = evaluate(end, end_env, drawn.validation[-1])
        outer = jax.tree.map(lambda leaf: leaf[None], last)
    states = jax.tree.map(lambda stack, leaf: jnp.concatenate([stack, leaf[None]]), states, end)
    return Unroll(states, trajectories, losses, outer, steps, env_states)


def validation_at(
    system: System, start: Start, points: Unroll, keys: PRNGKeyArray
) -> tuple[Any, Any]:
    """(θ^(i), τ̃^(i)) at the last points of an unroll, one for each of the keys."""
    stacked = (points.states.params, points.env_states)
    last = jax.tree.map(lambda leaf: leaf[-len(keys) :], stacked)

    def sample(of_point):
        params, env_state, key = of_point
        return system.validation(params, start.eta, env_state, key)

    return last[0], jax.lax.map(sample, (*last, keys))


def point(stacked: Any, i: int) -> Any:
    """Entry i of every stacked leaf."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
