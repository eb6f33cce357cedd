"""The operators that a probe records: those asked for, and those of the very update, densely."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from jax.flatten_util import ravel_pytree

from hessdiag.inner import InnerState, held_memory
from hessdiag.meta import Unroll, point, sources, unroll
from hessdiag.meta.streams import run_keys
from hessdiag.probes.inner_loop import inner_loop_variables, operator_names
from hessdiag.probes.spectral import SpectralProbe
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.presets import resolve
from hessdiag.train.probe import measured_by, probe_of

KEYS, ITERATION, SAMPLES, N = run_keys(0), 5, 2, 3
TINY = {
    "env": "tests.train.bootstrapped:make_problem",
    "n": N,
    "probe.samples": SAMPLES,
    "probe.unrolls": 2,
    "probe.operator_unrolls": 1,
    "probe.resamples": 100,
    "probe.max_matvecs": 40,
    "probe.tolerance": 1e-10,
    "learning.learning_rate": 0.05,
    "problem.states": 5,
    "problem.hidden": 2,
    "problem.batch_size": 4,
    "train.iterations": 9,
}
SELECTED = ("update", "augmented", "semi-gradient")


@dataclasses.dataclass
class Probed:
    """A probe, and the unroll of its first sample."""

    dataset: xarray.Dataset
    learner: Learner
    state: TrainState
    points: Unroll


@pytest.fixture(scope="module")
def probed():
    with jax.enable_x64(True):
        settings = resolve(TINY | {"probe.operators": list(SELECTED)})
        learner = Learner(settings)
        state = learner.init(KEYS.init)
        for t in range(2):
            state, _ = learner.step(state, jax.random.fold_in(KEYS.train, t))
        made = probe_of(learner, settings)(state, ITERATION, keys=KEYS, progress=lambda _: None)
        key = jax.random.split(jax.random.fold_in(KEYS.probe, ITERATION), SAMPLES)[0]
        points = unroll(learner.system, learner.start(state, key), sources(key, N))
        yield Probed(made, learner, state, points)


def update_jacobian(update, eta, state, seen):
    """Of the parameters after an inner update in those before, by `jacfwd`."""
    flat, unravel = ravel_pytree(state.params)

    def step(x):
        return ravel_pytree(update(state._replace(params=unravel(x)), seen, eta).params)[0]

    return jax.jacfwd(step)(flat)


def augmented_jacobian(update, eta, state, seen):
    """The same of parameters and optimiser state."""
    memory, _, merged = held_memory(state.opt_state, np.float64)
    flat, unravel = ravel_pytree((state.params, memory))

    def step(x):
        params, remembered = unravel(x)
        after = update(InnerState(params, merged(remembered), state.step), seen, eta)
        return ravel_pytree((after.params, held_memory(after.opt_state, np.float64)[0]))[0]

    return jax.jacfwd(step)(flat)


def td_jacobian(problem, update, eta, state, rewards):
    """Of a step along the mean of (v(s) - gamma (r + v(s'))) grad v(s), targets and all."""
    flat, unravel = ravel_pytree(state.params)
    hyper = problem.hyper(eta)

    def step(x):
        values, pull = jax.vjp(lambda y: problem.values(unravel(y)), x)
        gammas = jnp.stack([hyper[f"gamma_{i}"] for i in range(values.size)])
        targets = gammas * (jnp.mean(rewards, axis=0) + jnp.append(values[1:], 0))
        return x - update.rate(state.step) * pull((values - targets) / values.size)[0]

    return jax.jacfwd(step)(flat)


@pytest.fixture(scope="module")
def jacobians(probed):
    """Of every selected operator at every inner step."""
    of_targets = functools.partial(td_jacobian, probed.learner.problem)
    by_name = dict(zip(SELECTED, (update_jacobian, augmented_jacobian, of_targets), strict=True))
    update, eta, points = probed.learner.system.update, probed.state.eta, probed.points
    made = {}
    for name, function in by_name.items():
        compiled = jax.jit(functools.partial(function, update, eta))
        each = [(point(points.states, j), point(points.trajectories, j)) for j in range(N)]
        made[name] = [np.asarray(compiled(state, seen)) for state, seen in each]
    return made


def test_what_was_asked_for_is_recorded_and_nothing_else(probed):
    """The paper's operator costs nothing more and is always there."""
    data = probed.dataset
    assert list(data.operator.values) == ["paper", *SELECTED]
    sizes = {"operator_unroll": 1, "operator": 4}
    for name in ("operator_radius_minus_one", "operator_radius_error", "departure"):
        assert data[name].sizes == sizes | {"inner_step": N}
    for name in ("product_norm_minus_one", "product_norm_error"):
        assert data[name].sizes == sizes | {"term": N}
    assert data["hessian_max"].sizes == {"unroll": 2, "inner_step": N}
    assert not data["operator_radius_minus_one"].isnull().any()


@pytest.mark.parametrize(
    ("operators", "products", "recorded"),
    [(["preconditioned"], False, True), ([], True, True)],
)
def test_operators_and_products_are_chosen_one_by_one(probed, operators, products, recorded):
    flags = {"probe.operators": operators, "probe.products": products, "probe.unrolls": 1}
    spectral = SpectralProbe(measured_by(probed.learner, resolve(TINY | flags)))
    keys = jax.random.split(jax.random.key(0), 1)
    loops = spectral.measure(probed.state, keys, jax.random.key(1), progress=lambda: None)
    names = list(inner_loop_variables(loops))
    assert operator_names(loops) == ["paper", *operators]
    assert ("operator_radius_minus_one" in names) == recorded
    assert ("product_norm_minus_one" in names) == products
    assert any(name.startswith("operator_") for name in names) == recorded
    assert any(name.startswith("product_") for name in names) == products


def test_radii_equal_dense_ones_within_their_bounds(probed, jacobians):
    """The bootstrap targets move in the semi-gradient alone."""
    found = probed.dataset.isel(operator_unroll=0)
    assert found.operator_converged.all()
    for name in SELECTED:
        for j in range(N):
            at = found.sel(operator=name, inner_step=j)
            truth = np.abs(np.linalg.eigvals(jacobians[name][j])).max() - 1
            assert abs(at.operator_radius_minus_one - truth) <= at.operator_radius_error + 1e-13
            assert at.operator_radius_error < np.inf
            np.testing.assert_allclose(at.operator_radius_minus_one, truth, rtol=1e-6, atol=1e-9)


def test_radii_tell_the_operators_apart(probed):
    """Else the test above could not have noticed an exchange."""
    radii = probed.dataset.operator_radius_minus_one.isel(operator_unroll=0)
    for j in range(N):
        assert len(np.unique(np.round(radii.sel(inner_step=j), 7))) == 4


def test_norms_of_products_equal_dense_ones_within_their_bounds(probed, jacobians):
    found = probed.dataset.isel(operator_unroll=0)
    size = len(jacobians["update"][0])
    for name in SELECTED:
        product = np.eye(len(jacobians[name][0]))
        for i in range(1, N + 1):
            at = found.sel(operator=name, term=i)
            truth = np.linalg.norm(product[:size, :size], 2) - 1
            assert abs(at.product_norm_minus_one - truth) <= at.product_norm_error + 1e-13
            np.testing.assert_allclose(at.product_norm_minus_one, truth, rtol=1e-6, atol=1e-9)
            product = product @ jacobians[name][N - i]
