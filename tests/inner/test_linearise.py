"""The operators of the inner update, and their products, against dense Jacobians."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.inner import InnerState, held_memory, linearised_step, product_over_steps
from hessdiag.inner.products import step_at
from hessdiag.meta import point
from hessdiag.probes.inner_loop import InnerLoop, InnerLoopSettings
from hessdiag.spectra import dense_matrix
from tests.meta.conftest import CLIP, N, shared_case

UNRESOLVED = 1e9  # slopes of Adam's step in v, of parameters whose gradient is rounding
NAMES = ("paper", "preconditioned", "update", "augmented")


@pytest.fixture(scope="module", params=["mrp", "snake"])
def case(request):
    """Under Adam with active clipping and dead units, in double precision."""
    with jax.enable_x64(True):
        yield shared_case(request.param)


@pytest.fixture(scope="module")
def matrices(case):
    """N of every operator I + N, and the Hessian, by products."""
    seen = point(case.seen.trajectories, 0)

    @jax.jit
    def products(state):
        step = linearised_step(case.update, state, seen, case.eta)
        made = {name: dense_matrix(getattr(step, name).minus_identity) for name in NAMES}
        return made | {"hessian": dense_matrix(step.hessian), "ratio": step.clip_ratio}

    return jax.device_get(products(point(case.points.states, 0)))


@pytest.fixture(scope="module")
def jacobian(case):
    """d(θ', s') / d(θ, s) by forward mode through the update that training makes."""
    state = point(case.points.states, 0)
    seen = point(case.seen.trajectories, 0)
    memory, _, merged = held_memory(state.opt_state, np.float64)
    flat, unravel = ravel_pytree((state.params, memory))

    def update(x):
        params, remembered = unravel(x)
        before = InnerState(params, merged(remembered), state.step)
        after = case.update(before, seen, case.eta)
        return ravel_pytree((after.params, held_memory(after.opt_state, np.float64)[0]))[0]

    return np.asarray(jax.jit(jax.jacfwd(update))(flat))


def assert_equal_to_rounding(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_augmented_is_the_jacobian_of_parameters_and_memory(matrices, jacobian):
    """But where v is the square of rounding: the slope of its root is then rounding, too."""
    resolved = np.abs(jacobian) < UNRESOLVED
    assert np.mean(~resolved) < 1e-3
    actual = matrices["augmented"] + np.eye(len(jacobian))
    assert_equal_to_rounding(np.where(resolved, actual, 0), np.where(resolved, jacobian, 0))


def test_update_is_the_jacobian_of_the_parameters(matrices, jacobian):
    size = len(matrices["update"])
    assert len(jacobian) == 3 * size
    assert_equal_to_rounding(matrices["update"] + np.eye(size), jacobian[:size, :size])


@pytest.fixture(scope="module")
def small():
    """The one of the two whose products of dense matrices are small."""
    with jax.enable_x64(True):
        yield shared_case("mrp")


@pytest.fixture(scope="module")
def products(small):
    """P - I over all inner steps of the unroll by products, its transpose, and dense factors."""

    @jax.jit
    def steps():
        states = jax.tree.map(lambda leaf: leaf[:N], small.points.states)
        return jax.lax.map(
            lambda pair: linearised_step(small.update, pair[0], pair[1], small.eta),
            (states, small.seen.trajectories),
        )

    @partial(jax.jit, static_argnames="name")
    def whole(stacked, *, name):
        shift = product_over_steps(stacked, 0, name).minus_identity
        assert shift is not None
        return dense_matrix(shift), dense_matrix(shift.T)

    @partial(jax.jit, static_argnames="name")
    def factor(stacked, j, *, name):
        return dense_matrix(getattr(step_at(stacked, j), name).minus_identity)

    stacked = steps()
    made = {
        name: (*whole(stacked, name=name), [factor(stacked, j, name=name) for j in range(N)])
        for name in NAMES
    }
    return jax.device_get(made)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_products_over_steps_are_those_of_the_dense_matrices(products, name):
    """Newest factor on the left; of the augmented one theta's block."""
    forward, backward, factors = products[name]
    size = len(forward)
    expected = np.eye(len(factors[0]))
    for factor in factors:
        expected = (np.eye(len(factor)) + factor) @ expected
    shift = expected[:size, :size] - np.eye(size)
    assert_equal_to_rounding(forward, shift)
    assert_equal_to_rounding(backward, shift.T)


@pytest.mark.slow
def test_the_augmented_product_is_the_jacobian_through_all_inner_steps(small, products):
    """By forward mode through the updates that training makes, the memory moving along."""
    first = point(small.points.states, 0)
    flat, unravel = ravel_pytree(first.params)

    def last(x):
        state = first._replace(params=unravel(x))
        for j in range(N):
            state = small.update(state, point(small.seen.trajectories, j), small.eta)
        return ravel_pytree(state.params)[0]

    expected = np.asarray(jax.jit(jax.jacfwd(last))(flat)) - np.eye(len(flat))
    assert_equal_to_rounding(products["augmented"][0], expected)
    without_memory = products["update"][0]
    assert np.abs(without_memory - expected).max() > 1e-3 * np.abs(expected).max()


@pytest.fixture(scope="module")
def measured(small):
    """What a probe measures along the same inner steps."""
    settings = InnerLoopSettings(max_matvecs=120, tolerance=1e-6, departure_probes=4)
    loop = InnerLoop(
        lambda pair: linearised_step(small.update, pair[0], pair[1], small.eta), settings
    )
    states = jax.tree.map(lambda leaf: leaf[:N], small.points.states)
    return loop.measure((states, small.seen.trajectories), jax.random.key(0))


@pytest.mark.slow
def test_measured_radii_are_those_of_the_dense_matrices(measured, products):
    found = {name: [s.radius for s in of_steps] for name, of_steps in measured.operators.items()}
    assert list(found) == ["preconditioned", "update", "augmented"]
    for name, radii in found.items():
        for radius, factor in zip(radii, products[name][2], strict=True):
            truth = np.max(np.abs(1 + np.linalg.eigvals(factor))) - 1
            assert abs(radius.minus_one - truth) <= radius.error
            assert abs(radius.minus_one - truth) < 1e-5
    for spectrum, factor in zip(measured.hessians, products["paper"][2], strict=True):
        truth = np.max(np.abs(1 + np.linalg.eigvalsh((factor + factor.T) / 2))) - 1
        error = spectrum.shifted.spectral_radius_minus_one_error
        assert abs(spectrum.shifted.spectral_radius_minus_one - truth) <= error + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_measured_norms_are_those_of_the_dense_products(measured, products, name):
    """P_i is that of the last i - 1 inner steps, the newest on the left."""
    newest_first = products[name][2][::-1]
    size, product = len(products[name][0]), np.eye(len(newest_first[0]))
    assert len(measured.products[name]) == N
    for norm, factor in zip(measured.products[name], newest_first, strict=True):
        truth = np.linalg.norm(product[:size, :size], 2) - 1
        assert abs(norm.norm.minus_one - truth) <= norm.norm.error + 1e-9
        product = product @ (np.eye(len(product)) + factor)


def test_paper_is_minus_alpha_times_the_dense_hessian(case, matrices):
    state, seen = point(case.points.states, 0), point(case.seen.trajectories, 0)
    flat, unravel = ravel_pytree(state.params)
    hessian = jax.jit(jax.hessian(lambda x: case.update.loss(unravel(x), case.eta, seen)))(flat)
    alpha = float(case.update.rate(state.step))
    assert_equal_to_rounding(matrices["hessian"], np.asarray(hessian))
    assert_equal_to_rounding(matrices["paper"], -alpha * np.asarray(hessian))


def test_preconditioned_is_the_optimisers_response_to_a_gradient_of_clipped_length(case, matrices):
    """D by forward mode through the optimiser alone, at the clipped gradient."""
    state, seen = point(case.points.states, 0), point(case.seen.trajectories, 0)
    gradient = jax.jit(case.update.gradient)(state.params, case.eta, seen)
    clipped, unravel = ravel_pytree(case.update.clipped(gradient))
    norm = float(jnp.linalg.norm(ravel_pytree(gradient)[0]))
    assert norm > CLIP
    np.testing.assert_allclose(matrices["ratio"], CLIP / norm, rtol=1e-10)

    def direction(g):
        return ravel_pytree(case.update.change(state, unravel(g))[0])[0]

    diagonal = jax.jvp(direction, (clipped,), (jnp.ones_like(clipped),))[1]
    expected = np.asarray(diagonal)[:, None] * CLIP / norm * matrices["hessian"]
    assert_equal_to_rounding(matrices["preconditioned"], expected)


def test_semi_gradient_moves_the_bootstrap_targets(case):
    """Against central differences of the gradient that training follows, which move them, too."""
    if case.update.semi_gradient is None:
        pytest.skip("the returns of this problem have no bootstrap targets")
    state, seen = point(case.points.states, 0), point(case.seen.trajectories, 0)
    flat, unravel = ravel_pytree(state.params)
    flat += 0.1 * jax.random.normal(jax.random.key(2), flat.shape)  # dead units sit on a kink
    state = state._replace(params=unravel(flat))

    @jax.jit
    def gradient(x):
        return ravel_pytree(case.update.gradient(unravel(x), case.eta, seen))[0]

    @jax.jit
    def products(v):
        step = linearised_step(case.update, state, seen, case.eta, semi_gradient=True)
        moving = step.semi_gradient.minus_identity
        assert moving is not None
        return moving.product(v), moving.T.product(v), step.hessian.product(v)

    v = jax.random.normal(jax.random.key(3), flat.shape)
    alpha = float(case.update.rate(state.step))
    forward, back, frozen = products(v)
    moved = -alpha * (gradient(flat + 1e-6 * v) - gradient(flat - 1e-6 * v)) / 2e-6
    scale = float(jnp.max(jnp.abs(moved)))
    np.testing.assert_allclose(forward, moved, atol=1e-6 * scale)
    assert float(jnp.max(jnp.abs(-alpha * frozen - moved))) > 1e-2 * scale
    dense = jax.jit(
        jax.jacfwd(lambda x: ravel_pytree(case.update.semi_gradient(unravel(x), case.eta, seen))[0])
    )(flat)
    assert_equal_to_rounding(np.asarray(forward), -alpha * np.asarray(dense @ v))
    assert_equal_to_rounding(np.asarray(back), -alpha * np.asarray(dense.T @ v))
    u = jax.random.normal(jax.random.key(4), flat.shape)
    np.testing.assert_allclose(u @ forward, v @ products(u)[1], rtol=1e-9)
    assert float(jnp.max(jnp.abs(back - forward))) > 1e-3 * scale
