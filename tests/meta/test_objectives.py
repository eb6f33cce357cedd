"""Bootstrapped objectives against plain ones, and evolution strategies against gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.inner import InnerState
from hessdiag.meta import (
    ESTIMATORS,
    Bootstrapped,
    Options,
    again,
    all_horizons,
    sources,
    streams,
    unroll,
)
from tests.meta.conftest import ALPHA, N, make_case, shared_case, system_of
from tests.meta.test_pytree_eta import Adapting


@pytest.fixture(scope="module")
def case():
    """Under plain SGD, where a target one update ahead is known in closed form."""
    with jax.enable_x64(True):
        yield shared_case("mrp", "sgd", clip=0.0)


def test_one_update_ahead_is_the_outer_gradient_times_the_rate(case):
    """½|θ − θ̃|² with θ̃ = θ − α∇L' has gradient α∇L', on the trajectories of the target."""
    making, _ = streams.target(sources(case.key, 1).validation[0, 0], 1)
    env_state = jax.tree.map(lambda leaf: leaf[0], case.points.env_states)
    after = case.update(case.state, case.seen.trajectories[0], case.eta)
    _, trajectories = case.system.rollout(after.params, case.eta, env_state, making[0])
    value, gradient = jax.value_and_grad(case.system.outer_loss)(
        after.params, case.eta, trajectories
    )
    points = unroll(
        case.system,
        case.start,
        sources(case.key, 1),
        objective=Bootstrapped(),
        memory=Bootstrapped().init(case.system, after.params),
    )
    flat, _ = ravel_pytree(gradient)
    assert points.outer is not None
    np.testing.assert_allclose(points.outer.to_params[0, 0], ALPHA * flat, rtol=1e-9, atol=1e-16)
    assert float(value) > 0


def test_a_target_of_no_updates_moves_nothing(case):
    estimator = ESTIMATORS["bootstrapped"](Options(n=2, target_updates=0))
    memory = Bootstrapped(0).init(case.system, case.state.params)
    step = jax.jit(lambda start: estimator(case.system, start, case.key, memory))(case.start)
    plain = ESTIMATORS["n-step"](Options(n=2))
    moved = jax.jit(lambda start: plain(case.system, start, case.key, ()))(case.start)
    assert np.all(np.asarray(step.meta_gradient) == 0)
    assert np.any(np.asarray(moved.meta_gradient) != 0)


def test_bootstrapped_meta_gradients_are_those_of_the_divergence(case):
    """Through the inner updates, by autodiff of a plain replay with the target held."""
    system, key = case.system, case.key
    memory = Bootstrapped(2).init(system, case.state.params)
    estimator = ESTIMATORS["bootstrapped"](Options(n=2, target_updates=2))
    step = jax.jit(lambda start: estimator(system, start, key, memory))(case.start)
    drawn = sources(key, 2)
    making, _ = streams.target(drawn.validation[1, 0], 2)
    end = jax.tree.map(lambda leaf: leaf[2], case.points.states)
    env_state = jax.tree.map(lambda leaf: leaf[1], case.points.env_states)
    env_state, trajectories = system.rollout(end.params, case.eta, env_state, making[0])
    ahead = system.update(end, trajectories, case.eta)
    _, trajectories = system.rollout(ahead.params, case.eta, env_state, making[1])
    slope = jax.grad(system.outer_loss)(ahead.params, case.eta, trajectories)
    target = jax.tree.map(lambda p, g: p - ALPHA * g, ahead.params, slope)

    def divergence(eta):
        state = InnerState(*case.state)
        for j in range(2):
            state = system.update(state, case.seen.trajectories[j], eta)
        apart = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 2), state.params, target)
        return 0.5 * sum(jax.tree.leaves(apart))

    expected = jax.grad(divergence)(case.eta)
    np.testing.assert_allclose(step.meta_gradient, expected, rtol=1e-8)
    np.testing.assert_allclose(step.outer_loss, divergence(case.eta), rtol=1e-8)


def test_the_objectives_memory_goes_on_in_training():
    """Of the optimiser that makes the target: its moments after one outer update."""
    with jax.enable_x64(True):
        case = make_case("mrp", "momentum", clip=0.0, n=1)
        estimator = ESTIMATORS["bootstrapped"](Options(n=1))
        before = estimator.init(case.system, case.state.params)
        step = estimator(case.system, case.start, case.key, before)
        further = estimator(case.system, case.start, case.key, step.memory)
    moments = [np.abs(ravel_pytree(m)[0]).max() for m in (before, step.memory)]
    assert moments[0] == 0 < moments[1]
    assert float(further.outer_loss) != float(step.outer_loss)


def test_a_small_perturbation_gives_the_derivative_along_its_direction(case):
    """ε ⟨ε, g⟩ with g the meta-gradient on the same random numbers, and the mean of pairs."""
    system, options = case.system, Options(n=2, perturbation=1e-4, samples=2)

    def both(key):
        estimate = ESTIMATORS["es"](options)(system, case.start, key, ()).meta_gradient
        pairs = [key, *streams.averaged(key, 1)]
        gradients = [all_horizons(system, case.start, k, n=2)[-1] for k in pairs]
        directions = [
            jax.random.normal(streams.directions(k), case.eta.shape, case.eta.dtype) for k in pairs
        ]
        along = [d * (d @ g) for d, g in zip(directions, gradients, strict=True)]
        return estimate, sum(along) / len(pairs)

    estimates, expected = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(11), 4))
    np.testing.assert_allclose(estimates, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_evolution_strategies_keep_what_training_keeps(case):
    es, n_step = (
        ESTIMATORS[name](Options(n=N))(case.system, case.start, case.key, ())
        for name in ("es", "n-step")
    )
    for ours, theirs in zip(
        jax.tree.leaves(es.state.params), jax.tree.leaves(n_step.state.params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(es.inner_loss, n_step.inner_loss)


def test_evolution_strategies_move_the_start_with_eta():
    """Where the parameters start from η, so do those of a perturbed η."""

    with jax.enable_x64(True):
        system = system_of(Adapting(), "sgd", clip=0.0)
        eta = system.init_eta(jax.random.key(3))

        def both(key):
            start = again(system, eta, streams.start(key))
            options = Options(n=1, keep=0, perturbation=1e-3)
            singles = [
                ESTIMATORS[name](options)(system, start, key, ()).meta_gradient
                for name in ("es", "n-step")
            ]
            direction = jax.random.normal(streams.directions(key), eta.shape, eta.dtype)
            return singles[0], direction * (direction @ singles[1])

        es, along = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(0), 5))
    np.testing.assert_allclose(es, along, rtol=1e-4, atol=1e-4 * np.abs(along).max())
