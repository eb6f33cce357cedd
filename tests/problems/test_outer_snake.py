"""Bonnet et al. 2022: Snake with and without an outer critic."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from hessdiag import problems
from hessdiag.inner import inner_optimiser
from hessdiag.meta import ESTIMATORS, Options, Start, System, sources, streams

SMALL = {"rows": 4, "cols": 4, "batch_size": 5, "rollout_length": 6, "maps": 3}
SMALL |= {"policy_width": 4, "value_width": 5}
RATE, GAMMA = 5e-4, 0.8


@functools.cache
def case(outer_critic=False, normalise=False) -> Any:
    """A problem, its parameters and a rollout with rewards, in double precision."""
    with jax.enable_x64(True):
        settings = SMALL | {"outer_critic": outer_critic, "normalise_advantages": normalise}
        made = problems.make("snake-outer", settings)
        params, env_state = made.start(None, jax.random.key(0))
        played = jax.jit(made.rollout)
        for k in range(4):
            env_state, batch = played(params, None, env_state, jax.random.key(k))
        reward = jax.random.bernoulli(jax.random.key(9), 0.4, batch.transitions.reward.shape)
        batch = batch._replace(transitions=batch.transitions._replace(reward=reward.astype(float)))
        return made, params, env_state, batch


def outputs(made, params, name, batch):
    network = made.policy if name == "policy" else made.critic
    boards = batch.observation
    flat = boards.reshape(-1, *boards.shape[2:])
    return network.apply(params[name], flat).reshape(*boards.shape[:2], -1)


def advantages(value, batch, gamma, lam):
    """By rlax, a loop over the batch; values held."""
    held = jax.lax.stop_gradient(value)
    return jnp.stack(
        [
            rlax.td_lambda(
                held[b, :-1],
                batch.transitions.reward[b],
                gamma * batch.transitions.discount[b],
                held[b, 1:],
                lam,
                stop_target_gradients=False,
            )
            for b in range(len(held))
        ]
    )


def surrogate(made, params, of_steps, batch):
    """−mean A log π(a)."""
    if made.normalise_advantages:
        held = jax.lax.stop_gradient(of_steps)
        of_steps = (of_steps - held.mean()) / jnp.sqrt(held.var() + 1e-5)
    pi = jax.nn.softmax(outputs(made, params, "policy", batch)[:, :-1])
    places = np.indices(batch.transitions.action.shape)
    return -jnp.mean(of_steps * jnp.log(pi[*places, batch.transitions.action])), pi


def inner(made, params, gamma, batch):
    """The inner loss, written out."""
    value = outputs(made, params, "critic", batch)[..., 0]
    of_steps = advantages(value, batch, gamma, 0.95)
    loss, pi = surrogate(made, params, of_steps, batch)
    targets = of_steps + jax.lax.stop_gradient(value[:, :-1])
    loss += 0.5 * jnp.mean((targets - value[:, :-1]) ** 2)
    loss += 0.01 * jnp.mean(jnp.sum(pi * jnp.log(pi), axis=-1))
    if made.outer_critic:
        value = outputs(made, params, "outer_critic", batch)[..., 0]
        targets = advantages(value, batch, 1.0, 1.0) + jax.lax.stop_gradient(value[:, :-1])
        loss += 0.5 * jnp.mean((targets - value[:, :-1]) ** 2)
    return loss


def outer_advantages(made, params, batch):
    name = "outer_critic" if made.outer_critic else "critic"
    return advantages(outputs(made, params, name, batch)[..., 0], batch, 1.0, 1.0)


def test_settings_are_the_papers():
    made: Any = problems.make("snake-outer", {})
    environment = made.environment.unwrapped
    assert (environment.num_rows, environment.num_cols, environment.time_limit) == (6, 6, 500)
    assert (made.batch_size, made.rollout_length, made.lam) == (512, 5, 0.95)
    assert (made.critic_cost, made.entropy) == (0.5, 0.01)
    (gamma,) = made.meta_parameters
    assert (gamma.name, gamma.start, gamma.transform, gamma.between) == (
        "gamma",
        0.8,
        "sigmoid",
        None,
    )
    learning = made.learning
    assert (learning.optimiser, learning.learning_rate, learning.schedule) == (
        "rmsprop",
        5e-4,
        "constant",
    )
    assert (learning.meta_learning_rate, learning.meta_clip_norm, learning.meta_eps_root) == (
        3e-3,
        0.1,
        1e-8,
    )


@pytest.mark.parametrize(
    ("outer_critic", "normalise"), [(False, False), (True, False), (False, True)]
)
def test_losses_are_those_of_the_formulas(outer_critic, normalise, x64):
    """Values, derivatives in all parameters, and what γ does to those of the inner loss."""
    del x64
    made, params, _, batch = case(outer_critic, normalise)

    def ours(params, gamma):
        return made.inner_loss(params, {"gamma": gamma}, batch)

    def theirs(params, gamma):
        return inner(made, params, gamma, batch)

    def all_of(loss):
        value, slopes = jax.value_and_grad(loss)(params, GAMMA)
        along = jax.jvp(lambda gamma: jax.grad(loss)(params, gamma), (GAMMA,), (1.0,))[1]
        return value, slopes, along

    for one, other in zip(*map(jax.tree.leaves, (all_of(ours), all_of(theirs))), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)
    expected = surrogate(made, params, outer_advantages(made, params, batch), batch)[0]
    np.testing.assert_allclose(made.outer_loss(params, None, batch), expected, rtol=1e-9)
    found = made.metrics(params, batch)["outer_advantage"]
    np.testing.assert_allclose(found, outer_advantages(made, params, batch).mean(), rtol=1e-9)


def test_an_outer_critic_moves_nothing_but_itself(x64):
    """In the inner loss: the others' slopes are as without it."""
    del x64
    with_it, params, _, batch = case(outer_critic=True)
    without = case()[0]
    slopes = [
        jax.grad(lambda at, made=made: made.inner_loss(at, {"gamma": GAMMA}, batch))(params)
        for made in (with_it, without)
    ]
    for name in ("policy", "critic"):
        for one, other in zip(*(jax.tree.leaves(slope[name]) for slope in slopes), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    assert all(not leaf.any() for leaf in jax.tree.leaves(slopes[1]["outer_critic"]))
    assert any(leaf.any() for leaf in jax.tree.leaves(slopes[0]["outer_critic"]))


def test_two_critics_that_are_one_give_one_outer_loss(x64):
    del x64
    with_it, params, _, batch = case(outer_critic=True)
    params = params | {"outer_critic": params["critic"]}
    found = [made.outer_loss(params, None, batch) for made in (with_it, case()[0])]
    np.testing.assert_allclose(*found, rtol=1e-13)


def test_a_target_that_is_where_training_is_has_no_meta_gradient(x64):
    del x64
    made, params, _, batch = case()
    kl = functools.partial(made.divergence, hyper=None, trajectories=batch)
    value, slope = jax.value_and_grad(lambda at: kl(at, target_params=params))(params)
    np.testing.assert_allclose(value, 0.0, atol=1e-15)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope)) < 1e-15
    other = jax.tree.map(lambda leaf: 1.5 * leaf, params)
    here, there = (
        np.asarray(jax.nn.softmax(outputs(made, at, "policy", batch)[:, :-1]))
        for at in (params, other)
    )
    expected = (there * np.log(there / here)).sum(axis=-1).mean()
    np.testing.assert_allclose(kl(params, target_params=other), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("outer_critic", "estimator"), [(False, "n-step"), (True, "n-step"), (True, "bootstrapped")]
)
def test_meta_gradients_by_central_differences(outer_critic, estimator, x64):
    """Of the objective at θ'(η), what it stops held at θ'(η_t), under RMSProp with some history."""
    del x64
    made, params, env_state, batch = case(outer_critic)
    update = inner_optimiser("rmsprop", RATE)
    system = System.of(made, update, lambda step: jnp.asarray(RATE) + 0 * step)
    eta = made.init_eta(jax.random.key(0))
    state = system.update(system.update.init(params), batch, eta)
    start, key = Start(state, eta, env_state), jax.random.key(6)
    how = ESTIMATORS[estimator](Options(n=1))
    memory = how.init(system, params)
    step = jax.jit(functools.partial(how, system))(start, key, memory)
    theta, drawn = step.state.params, sources(key, 1)

    @jax.jit
    def moved(eta):
        return system.update(start.inner, step.trajectories, eta).params

    env = system.rollout(state.params, eta, env_state, drawn.inner[0])[0]
    if estimator == "n-step":
        seen = system.rollout(theta, eta, env, drawn.validation[0, 0])[1]
        held = outer_advantages(made, theta, seen)

        def objective(eta):
            return surrogate(made, moved(eta), held, seen)[0]
    else:
        making, comparing = streams.target(drawn.validation[0, 0], 1)
        env, seen = system.rollout(theta, eta, env, making[0])
        slope = jax.grad(made.outer_loss)(theta, None, seen)
        target = jax.tree.map(  # ε inside the root, the memory's first step
            lambda p, g: p - RATE * g / jnp.sqrt(0.1 * g**2 + 1e-8), theta, slope
        )
        compared = system.rollout(target, eta, env, comparing)[1]
        there = jax.nn.softmax(outputs(made, target, "policy", compared)[:, :-1])

        def objective(eta):
            here = jax.nn.softmax(outputs(made, moved(eta), "policy", compared)[:, :-1])
            apart = here / there - 1
            return jnp.mean(jnp.sum(there * (apart - jnp.log1p(apart)), axis=-1))

    np.testing.assert_allclose(step.outer_loss, objective(eta), rtol=1e-7)
    near, far = (objective(eta + h) - objective(eta - h) for h in (0.02, 0.04))
    expected = (8 * near - far) / (12 * 0.02)
    assert abs(float(expected)) > 0
    np.testing.assert_allclose(step.meta_gradient[0], expected, rtol=1e-4)
