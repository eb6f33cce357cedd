"""Operators of an optimiser's update against dense Jacobians of that update, and closed forms."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.spectra import dense_matrix, identity_plus, transpose_defect
from tests.oracles.spectra import mlp_loss, mlp_problem
from tests.oracles.steps import inner_step

ALPHA, CLIP = 1e-2, 0.05
OPTIMISERS = {
    "sgd": optax.sgd(ALPHA),
    "momentum": optax.sgd(ALPHA, momentum=0.9),
    "adam": optax.adam(ALPHA),
    "adamw": optax.adamw(ALPHA, weight_decay=0.1),
    "rmsprop": optax.rmsprop(ALPHA),
}
NAMES = ("paper", "preconditioned", "update", "augmented")


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def clip_to(gradient):
    """Gradient of global norm `CLIP`."""
    norm = optax.tree.norm(gradient)
    return jax.tree.map(lambda leaf: leaf * jnp.minimum(1.0, CLIP / norm), gradient)


@functools.cache
def case(name: str, dtype: type = np.float64) -> tuple[Any, Any, Any, Any]:
    """Parameters and optimiser state after two updates, and the loss."""
    params, inputs, labels = mlp_problem(dtype, sizes=(4, 5, 3))
    optimiser = OPTIMISERS[name]
    state = optimiser.init(params)

    @jax.jit
    def updated(params, state, inputs):
        gradient = clip_to(jax.grad(mlp_loss)(params, inputs, labels))
        change, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, change), state

    for step in range(2):
        params, state = updated(params, state, inputs + 0.1 * step)
    return optimiser, params, state, lambda p: mlp_loss(p, inputs, labels)


@functools.cache
def matrices(name: str) -> dict[str, np.ndarray]:
    """N of every operator I + N, by products; and the Hessian."""
    optimiser, params, state, loss = case(name)

    @jax.jit
    def products(params, state):
        step = inner_step(loss, optimiser, params, state, clip=clip_to, learning_rate=ALPHA)
        made = {key: dense_matrix(getattr(step, key).minus_identity) for key in NAMES}
        back = {f"{key}'": dense_matrix(getattr(step, key).T.minus_identity) for key in NAMES}
        return made | back | {"hessian": dense_matrix(step.hessian), "scale": step.response_scale}

    return {key: np.asarray(value) for key, value in products(params, state).items()}


def dense_jacobian(name: str) -> tuple[np.ndarray, int]:
    """Jacobian of (theta', s') in (theta, s) by `jacfwd` through the update itself, and d."""
    optimiser, params, state, loss = case(name)
    leaves, structure = jax.tree.flatten(state)
    floating = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    memory = [leaf for leaf, is_float in zip(leaves, floating, strict=True) if is_float]
    flat, unravel = ravel_pytree((params, memory))

    def update(x):
        params, memory = unravel(x)
        held = iter(memory)
        merged = [next(held) if f else leaf for leaf, f in zip(leaves, floating, strict=True)]
        gradient = clip_to(jax.grad(loss)(params))
        change, after = optimiser.update(gradient, jax.tree.unflatten(structure, merged), params)
        after = [v for v, f in zip(jax.tree.leaves(after), floating, strict=True) if f]
        return ravel_pytree((optax.apply_updates(params, change), after))[0]

    return np.asarray(jax.jit(jax.jacfwd(update))(flat)), ravel_pytree(params)[0].size


def assert_equal_to_rounding(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_update_and_augmented_equal_the_dense_jacobian(name):
    jacobian, size = dense_jacobian(name)
    made = matrices(name)
    assert len(jacobian) == size * {"sgd": 1, "momentum": 2, "rmsprop": 2}.get(name, 3)
    assert_equal_to_rounding(made["augmented"] + np.eye(len(jacobian)), jacobian)
    assert_equal_to_rounding(made["update"] + np.eye(size), jacobian[:size, :size])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_transposes(name):
    made = matrices(name)
    for key in NAMES:
        assert_equal_to_rounding(made[f"{key}'"], made[key].T)


def test_clipping_is_active_and_its_derivative_part_of_the_update_alone():
    """SGD: the update has the projector of clipping, the preconditioned operator its factor."""
    _, params, _, loss = case("sgd")
    gradient = np.asarray(ravel_pytree(jax.grad(loss)(params))[0])
    norm = np.linalg.norm(gradient)
    assert norm > 2 * CLIP
    made, unit = matrices("sgd"), gradient / norm
    scaled = -ALPHA * CLIP / norm * made["hessian"]
    assert_equal_to_rounding(made["preconditioned"], scaled)
    assert_equal_to_rounding(made["update"], (np.eye(len(unit)) - np.outer(unit, unit)) @ scaled)
    assert_equal_to_rounding(made["paper"], -ALPHA * made["hessian"])


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("decay", [0.0, 1e-4, 0.1])
def test_where_update_and_preconditioned_are_one(clips, decay):
    _, params, _, loss = case("sgd")
    optimiser = optax.adamw(ALPHA, weight_decay=decay)
    clip = clip_to if clips else None
    step = inner_step(loss, optimiser, params, optimiser.init(params), clip=clip)
    assert bool(step.updates_as_preconditioned) == (not clips and decay == 0)


def test_a_weight_decay_that_is_rounding_beside_the_response_is_seen():
    """At tiny gradients Adam responds so strongly that sums would lose the decay."""
    params = jnp.linspace(-1, 1, 20, dtype=np.float32)
    optimiser = optax.adamw(1e-3, weight_decay=1e-4)
    state = optimiser.init(params)
    step = inner_step(lambda p: 1e-8 * jnp.sum(p), optimiser, params, state)
    assert not step.updates_as_preconditioned


def test_adam_responds_by_its_closed_form():
    """SCIENCE: D = a [(1-b1)/(c1 (sqrt v + e)) - m (1-b2) g / (c2 sqrt v (sqrt v + e)^2)]."""
    _, params, state, loss = case("adam")
    flat = lambda tree: np.asarray(ravel_pytree(tree)[0])  # noqa: E731
    gradient = flat(clip_to(jax.grad(loss)(params)))
    ratio = np.linalg.norm(gradient) / np.linalg.norm(flat(jax.grad(loss)(params)))
    adam, b1, b2, eps = state[0], 0.9, 0.999, 1e-8
    count = int(adam.count) + 1
    c1, c2 = 1 - b1**count, 1 - b2**count
    m = (b1 * flat(adam.mu) + (1 - b1) * gradient) / c1
    root = np.sqrt((b2 * flat(adam.nu) + (1 - b2) * gradient**2) / c2)
    response = (1 - b1) / (c1 * (root + eps)) - m * (1 - b2) * gradient / (
        c2 * root * (root + eps) ** 2
    )
    made = matrices("adam")
    expected = -ALPHA * response[:, None] * ratio * made["hessian"]
    assert_equal_to_rounding(made["preconditioned"], expected)
    np.testing.assert_allclose(made["scale"], np.sqrt(ALPHA * np.abs(response)), rtol=1e-10)


def test_adam_has_a_derivative_where_the_gradient_was_always_zero():
    """An input that is always zero: its weights never move. As with an Adam of smooth roots.

    ε inside the root is so small that it changes no other derivative.
    """
    params, inputs, labels = mlp_problem(np.float64, sizes=(4, 5, 3))
    inputs = inputs.at[:, 0].set(0)

    @jax.jit
    def operators(params):
        made = []
        for optimiser in (
            optax.adam(ALPHA),
            optax.adam(ALPHA, eps_root=1e-300),
        ):
            state = optimiser.init(params)
            step = inner_step(lambda p: mlp_loss(p, inputs, labels), optimiser, params, state)
            shift = step.augmented.minus_identity
            assert shift is not None
            made.append((dense_matrix(shift), dense_matrix(shift.T)))
        return made

    stock, smooth = operators(params)
    for ours, theirs in zip(stock, smooth, strict=True):
        assert_equal_to_rounding(np.asarray(ours), np.asarray(theirs))


def test_the_scaled_preconditioned_operator_is_symmetric_where_all_responses_are_positive():
    made = matrices("rmsprop")
    scaled = made["preconditioned"] / made["scale"][:, None] * made["scale"][None]
    assert not np.allclose(made["preconditioned"], made["preconditioned"].T, rtol=1e-2)
    assert_equal_to_rounding(scaled, scaled.T)


def test_heavy_ball_eigenvalues_are_the_roots_of_their_quadratic():
    """mu^2 - (1 + b - a lambda) mu + b = 0 for every eigenvalue lambda of the Hessian."""
    made = matrices("momentum")
    _, params, _, loss = case("momentum")
    gradient = np.asarray(ravel_pytree(jax.grad(loss)(params))[0])
    unit = gradient / np.linalg.norm(gradient)
    clipped = CLIP / np.linalg.norm(gradient) * (np.eye(len(unit)) - np.outer(unit, unit))
    curvatures = np.linalg.eigvals(clipped @ made["hessian"])
    roots = np.concatenate([np.roots([1, -(1.9 - ALPHA * c), 0.9]) for c in curvatures])
    found = np.linalg.eigvals(made["augmented"] + np.eye(len(roots)))
    distance = np.abs(found[:, None] - roots[None]).min(axis=1)
    assert distance.max() < 1e-6  # double roots split by the square root of rounding


def test_products_in_single_precision_keep_the_digits_of_a_small_step():
    """I - alpha H with alpha = 1e-7: N by products has all digits that I + N would lose."""
    optimiser, params, state, loss = case("sgd")
    small = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    step = inner_step(loss, optimiser, small, state, learning_rate=1e-7)
    twice = step.paper @ step.paper
    assert twice.minus_identity is not None
    once = step.paper.minus_identity
    assert once is not None
    shift = np.asarray(dense_matrix(twice.minus_identity), np.float64)
    expected = -2e-7 * matrices("sgd")["hessian"]
    np.testing.assert_allclose(shift, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    formed = np.asarray(dense_matrix(identity_plus(once)), np.float64)
    assert np.abs(formed - np.eye(len(formed)) - expected / 2).max() > 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "dtype"), [("adam", np.float32), ("adam", np.float64), ("momentum", np.float64)]
)
def test_adjointness_of_every_operator(name, dtype):
    """<A v, u> = <v, A' u> for random u and v, to rounding of the operator's own dtype."""
    with jax.enable_x64(dtype == np.float64):
        optimiser, params, state, loss = case(name, dtype)

        @jax.jit
        def defects(params, state):
            step = inner_step(loss, optimiser, params, state, clip=clip_to, learning_rate=ALPHA)
            operators = [getattr(step, key) for key in NAMES]
            operators += [each.minus_identity for each in operators]
            assert all(each.dtype == dtype for each in operators)
            keys = jax.random.split(jax.random.key(0), 5)
            return jnp.stack(
                [jax.lax.map(lambda key, a=a: transpose_defect(a, key), keys) for a in operators]
            )

        made = np.asarray(defects(params, state))
    assert made.dtype == dtype
    assert np.max(made) < 10 * np.finfo(dtype).eps


def test_a_step_without_a_learning_rate_has_no_paper_operator():
    optimiser, params, state, loss = case("sgd")
    with pytest.raises(ValueError, match="needs a learning rate"):
        _ = inner_step(loss, optimiser, params, state).paper
