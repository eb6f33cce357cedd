"""The edge of stability against explicit preconditioners, and the iteration whose edge it is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.inner import InnerState, OptaxUpdate, linearised_step
from hessdiag.inner.edge import edge
from hessdiag.probes.inner_loop.edges import Edges
from hessdiag.probes.inner_loop.settings import InnerLoopSettings

ALPHA, D, STEPS = 0.01, 7, 5
CURVATURES = np.linspace(0.5, 3.0, D)


def loss(params, batch):
    return jnp.sum(CURVATURES * params["x"] ** 2) / 2 + jnp.sum(batch * params["x"])


def root(second, eps, correction):
    return jnp.sqrt(second / correction) + eps


# the optimiser, its edge, and P from its state after the update
KNOWN = {
    "sgd": (optax.sgd(ALPHA), 2.0, lambda _: jnp.ones(D)),
    "momentum": (optax.sgd(ALPHA, momentum=0.9), 2 * 1.9, lambda _: jnp.ones(D)),
    "rmsprop": (optax.rmsprop(ALPHA), 2.0, lambda s: jnp.sqrt(s[0].nu["x"] + 1e-8)),
    "adam": (
        optax.adam(ALPHA),
        2 * 1.9 / 0.1,
        lambda s: root(s[0].nu["x"], 1e-8, 1 - 0.999 ** (STEPS + 1)) * (1 - 0.9 ** (STEPS + 1)),
    ),
}
UNKNOWN = {
    "weight decay": optax.adamw(ALPHA),
    "nesterov": optax.sgd(ALPHA, momentum=0.9, nesterov=True),
    "not by entry": optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(ALPHA)),
    "two moments of a kind": optax.chain(optax.trace(0.9), optax.sgd(ALPHA, momentum=0.5)),
}


def at_a_state(optimiser, steps=STEPS):
    """The update, a state on its way, a batch there, all in float64."""
    update = OptaxUpdate(loss, optimiser, ALPHA)
    state = update.init({"x": jnp.linspace(-1.0, 2.0, D)})
    for k in range(steps):
        state = update(state, jnp.sin(jnp.arange(D) + k))
    return update, InnerState(*state), jnp.cos(jnp.arange(D) * 1.0)


@pytest.mark.parametrize("name", KNOWN)
def test_the_response_is_the_preconditioner_held_still(name):
    optimiser, limit, preconditioner = KNOWN[name]
    with jax.enable_x64(True):
        update, state, batch = at_a_state(optimiser)
        found = edge(linearised_step(update, state, batch))
        expected = ALPHA / preconditioner(update(state, batch).opt_state)
        np.testing.assert_allclose(found.response, expected, rtol=1e-9)
    assert float(found.limit) == pytest.approx(limit)


@pytest.mark.parametrize("name", UNKNOWN)
def test_updates_of_another_form_have_no_edge_that_is_known(name):
    with jax.enable_x64(True):
        update, state, batch = at_a_state(UNKNOWN[name])
        assert np.isnan(edge(linearised_step(update, state, batch)).limit)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize(("share", "stable"), [(0.98, True), (1.02, False)])
def test_beyond_the_edge_the_iteration_grows(name, share, stable):
    """On one parameter, its preconditioner a constant: sgd and momentum by optax, Adam by hand."""
    optimiser, limit, _ = KNOWN[name]
    if name == "adam":
        optimiser = optax.chain(optax.ema(0.9, debias=False), optax.scale(-ALPHA))
    curvature = share * limit / ALPHA
    theta, state = jnp.ones(1), optimiser.init(jnp.ones(1))
    lengths = []
    for _ in range(4000):
        change, state = optimiser.update(curvature * theta, state)
        theta = theta + jnp.asarray(change)
        lengths.append(float(jnp.abs(theta[0])))
        if not 1e-8 < lengths[-1] < 1e8:
            break
    assert (np.mean(lengths[-20:]) < np.mean(lengths[:20])) == stable


def test_sharpness_equals_the_dense_preconditioned_hessians():
    optimiser, limit, preconditioner = KNOWN["adam"]
    with jax.enable_x64(True):
        update, state, batch = at_a_state(optimiser)
        step = linearised_step(update, state, batch)
        stacked = jax.tree.map(lambda leaf: leaf[None], step)
        found = Edges(InnerLoopSettings()).measure(stacked, jax.random.key(0)).distance(0.0)
        p = np.asarray(preconditioner(update(state, batch).opt_state))
        gradient = np.asarray(step.gradient)
    truth = float(np.max(ALPHA * CURVATURES / p))
    assert abs(found.sharpness - truth) <= found.error + 1e-9 * truth
    assert found.share == pytest.approx(truth / limit)
    along = ALPHA * np.sum(CURVATURES * gradient**2) / np.sum(gradient**2)
    assert found.along_gradient == pytest.approx(along)
