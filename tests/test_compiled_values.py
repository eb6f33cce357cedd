"""Compiled programs give what eager evaluation in double precision gives.

In the shapes of runs, compiled as users compile, inside scans: a compiler that gets one of these
wrong is silently wrong in every result.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag import problems
from hessdiag.inner import linearised_step
from hessdiag.meta import System
from tests.oracles.networks import StockBoardActorCritic

pytestmark = pytest.mark.slow

SCANNED = 2  # rollouts in one scan, each continuing the one before
RATE = 1e-3


@pytest.fixture(scope="module")
def optimised() -> bool:
    return True


class StockSnake(problems.factory("snake")):  # type: ignore[misc]
    """Snake whose network is made of `flax.linen.Conv` and `nn.max_pool`, in double precision."""

    @property
    def network(self):
        return StockBoardActorCritic()


PLAIN = {"snake": StockSnake, "mrp": problems.factory("mrp")}


@pytest.fixture(scope="module", params=["snake", "mrp"])
def compiled(request):
    """(name, params, η, rollouts, gradients, products, v) of the default problem, by one scan."""
    problem = problems.make(request.param, {})
    system = System.of(problem, optax.sgd(RATE), optax.constant_schedule(RATE))
    eta = system.init_eta(jax.random.key(0))
    params, env_state = jax.jit(problem.start)(eta, jax.random.key(1))
    flat, _ = ravel_pytree(params)
    v = jax.random.normal(jax.random.key(2), flat.shape)
    keys = jax.random.split(jax.random.key(3), SCANNED)

    @jax.jit
    def scanned(params, eta, env_state):
        def step(env_state, key):
            before = env_state
            env_state, trajectories = system.rollout(params, eta, env_state, key)
            linearised = linearised_step(
                system.update, system.update.init(params), trajectories, eta
            )
            product = linearised.hessian.product(v)
            return env_state, (before, trajectories, linearised.gradient, product)

        return jax.lax.scan(step, env_state, keys)[1]

    seen = jax.device_get(scanned(params, eta, env_state))
    return request.param, params, eta, keys, v, seen


def eager(name, params, eta, trajectories, v):
    """(gradient, product), every operation on its own, in float64 and by stock layers."""
    with jax.enable_x64(True), jax.disable_jit():
        problem = PLAIN[name]()
        wide = jax.tree.map(widened, (params, eta, trajectories, v))
        params, eta, trajectories, v = wide
        flat, unravel = ravel_pytree(params)

        def loss(x):
            return problem.inner_loss(unravel(x), problem.hyper(eta), trajectories)

        gradient, product = jax.jvp(jax.grad(loss), (flat,), (v,))
        return np.asarray(gradient), np.asarray(product)


def widened(leaf):
    leaf = np.asarray(leaf)
    return jnp.asarray(leaf, np.float64 if leaf.dtype == np.float32 else leaf.dtype)


def test_gradients_and_products(compiled):
    name, params, eta, _, v, (_, trajectories, gradients, products) = compiled
    for k in range(SCANNED):
        seen = jax.tree.map(lambda leaf, k=k: leaf[k], trajectories)
        gradient, product = eager(name, params, eta, seen, v)
        for ours, truth in ((gradients[k], gradient), (products[k], product)):
            assert np.linalg.norm(ours - truth) < 2e-5 * np.linalg.norm(truth)


def test_rollouts(compiled):
    """Every operation on its own, from the states that the scan went through."""
    name, params, eta, keys, _, (before, trajectories, _, _) = compiled
    problem = problems.make(name, {"conv_form": "xla"} if name == "snake" else {})
    k = SCANNED - 1
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf[k]), before)
    with jax.disable_jit():
        _, expected = problem.rollout(params, problem.hyper(eta), state, keys[k])
    leaves = zip(jax.tree.leaves(trajectories), jax.tree.leaves(expected), strict=True)
    for ours, truth in leaves:
        np.testing.assert_allclose(ours[k], truth, rtol=1e-6, atol=1e-6)
