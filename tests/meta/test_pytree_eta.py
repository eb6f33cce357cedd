"""η of any shape, starts that depend on it, outer losses that read it: against differences."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.inner import FULL
from hessdiag.meta import (
    ESTIMATORS,
    Options,
    Validation,
    again,
    all_horizons,
    sources,
    streams,
    terms,
    unroll,
)
from hessdiag.meta.horizons import forward_meta_gradients
from hessdiag.problems import About, Learning
from tests.meta.conftest import system_of
from tests.oracles.meta_gradient import central_differences

N, SIZE = 3, 4


@dataclass(frozen=True)
class Adapting:
    """A small regression that starts from η, weighs its inner loss by η, and pays for η outside."""

    about = About(summary="adapting", headline="loss")
    learning = Learning(keep="0")

    def init_eta(self, key):
        start = 0.3 * jax.random.normal(key, (SIZE, 2))
        return {"start": {"w": start, "b": jnp.zeros(2)}, "weights": jnp.linspace(0.5, 1.5, SIZE)}

    def hyper(self, eta):
        return {"weights": jnp.exp(eta["weights"]), "start": eta["start"]}

    def start(self, eta, key):
        return eta["start"], jax.random.normal(key, (SIZE,))

    def rollout(self, params, hyper, env_state, key):
        del params, hyper
        inputs = jax.random.normal(key, (6, SIZE)) + env_state[None]
        return env_state + 0.1, (inputs, jnp.sin(inputs[:, :2]))

    def inner_loss(self, params, hyper, trajectories):
        inputs, targets = trajectories
        made = jnp.tanh((inputs * hyper["weights"][None]) @ params["w"] + params["b"][None])
        return jnp.mean((made - targets) ** 2)

    def outer_loss(self, params, hyper, trajectories):
        inputs, targets = trajectories
        made = jnp.tanh(inputs @ params["w"] + params["b"][None])
        return jnp.mean((made - targets) ** 2) + 0.1 * jnp.sum(hyper["weights"] ** 2)

    def metrics(self, params, trajectories):
        del trajectories
        return {"loss": jnp.sum(params["b"] ** 2)}


def learned(eta):
    """An optimiser with momentum whose decay, gain and nonlinearity are entries of η."""

    def update(updates, state, params=None):
        del params
        state = jax.tree.map(lambda m, g: jax.nn.sigmoid(eta[-1]) * m + g, state, updates)
        change = jax.tree.map(
            lambda m, g: -0.1 * jnp.tanh(jnp.exp(eta[-2]) * m + eta[-3] * g), state, updates
        )
        return change, state

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


@pytest.fixture(scope="module", params=["adam", "learned"])
def case(request):
    with jax.enable_x64(True):
        system = system_of(Adapting(), "adam", clip=0.5)
        if request.param == "learned":
            update = replace(system.update, optimiser=learned(jnp.zeros(3)), optimiser_of=learned)
            system = replace(system, update=update)
        yield system, system.init_eta(jax.random.key(3)), jax.random.key(7)


@pytest.fixture(scope="module")
def reference(case):
    """(N, m): central differences of plain replays on the trajectories at η; float64."""
    system, eta, key = case
    start = again(system, eta, streams.start(key))
    drawn = sources(key, N)
    points = unroll(system, start, drawn)

    def validation(i):
        params = jax.tree.map(lambda leaf: leaf[i], points.states.params)
        env_state = points.env_states[i - 1]
        return system.rollout(params, eta, env_state, drawn.validation[i - 1, 0])[1]

    seen = [jax.tree.map(lambda leaf, j=j: leaf[j], points.trajectories) for j in range(N)]

    @jax.jit
    def losses(eta):
        params, _ = system.problem.start(system.eta_space.unravel(eta), streams.start(key))
        state, values = system.update.init(params), []
        for j in range(N):
            state = system.update(state, seen[j], eta)
            values.append(system.outer_loss(state.params, eta, validation(j + 1)))
        return jnp.stack(values)

    at, step = np.asarray(eta), 1e-5  # the learned optimiser bends: 1e-4 would be 1e-6 off
    return np.stack(
        [central_differences(lambda x, i=i: losses(x)[i], at, step=step) for i in range(N)]
    )


def assert_near(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def test_both_sweeps_have_the_paths_through_the_start_and_the_objective(case, reference):
    system, eta, key = case
    assert eta.size == SIZE * 2 + 2 + SIZE

    @jax.jit
    def sweeps(eta):
        start = again(system, eta, streams.start(key))
        drawn = sources(key, N)
        points = unroll(system, start, drawn, objective=Validation())
        parts = terms(system, start, points, horizons=(1, 2, 3), cuts=(FULL,))
        forward = forward_meta_gradients(system, start, drawn, Validation(), ())[:, 0]
        return forward, all_horizons(system, start, key, n=N), parts

    forward, cheaper, parts = sweeps(eta)
    assert_near(forward, reference)
    assert_near(cheaper, reference)
    assert_near(parts.meta_gradients[0], reference)
    of_weights = -SIZE  # leaves in their order: start.b, start.w, weights
    assert np.abs(parts.direct[:, of_weights:]).min() > 0
    assert not np.any(parts.direct[:, :of_weights])
    assert np.abs(parts.initial[0, :, :of_weights]).max() > 0
    assert not np.any(parts.initial[0, :, of_weights:])


WEIGHTS = {"n-step": np.array([0, 0, 1]), "mix": np.array([4, 2, 1]) / 7}


@pytest.mark.parametrize(
    ("name", "remat", "keep"), [("n-step", True, 0), ("mix", True, 1), ("mix", False, N)]
)
def test_estimators_have_these_paths_and_keep_what_is_asked_for(case, reference, name, remat, keep):
    """Of an unroll: 1, the first update (eq. 5); n, all; 0, none, but environments go on."""
    system, eta, key = case
    estimator = ESTIMATORS[name](Options(n=N, kappa=0.5, remat=remat, keep=keep))

    @jax.jit
    def estimate(eta):
        start = again(system, eta, streams.start(key))
        points = unroll(system, start, sources(key, N))
        return estimator(system, start, key, ()), points, start.env_state

    step, points, first = estimate(eta)
    assert_near(step.meta_gradient, WEIGHTS[name] @ reference)
    kept = jax.tree.map(lambda leaf: leaf[keep], points.states.params)
    np.testing.assert_allclose(step.state.params["w"], kept["w"], rtol=1e-12)
    np.testing.assert_allclose(step.env_state, points.env_states[keep - 1])
    assert np.abs(step.env_state - first).min() > 0.09


def test_entries_are_named_by_where_they_stand(case):
    system, _, _ = case
    assert system.names[:2] == ("start.b[0]", "start.b[1]")
    assert system.names[2] == "start.w[0,0]"
    assert system.names[-1] == f"weights[{SIZE - 1}]"
    assert len(set(system.names)) == SIZE * 2 + 2 + SIZE
