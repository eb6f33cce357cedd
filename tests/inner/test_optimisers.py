import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.errors import UsageError
from hessdiag.inner.optimisers import (
    clip_to_norm,
    inner_optimiser,
    safe_sqrt,
    scale_by_adam,
)
from tests.tolerance import assert_close


def clipping(max_norm: float) -> optax.GradientTransformation:
    """Our clipping as optax would have it."""
    return optax.stateless(lambda gradient, _: clip_to_norm(gradient, max_norm))


PAIRS = {
    "adam": (scale_by_adam(), optax.scale_by_adam()),
    "adam, its constants set": (
        inner_optimiser("adam", b1=0.5, b2=0.8, eps=1e-3),
        optax.scale_by_adam(0.5, 0.8, 1e-3),
    ),
    "clip, active": (clipping(0.5), optax.clip_by_global_norm(0.5)),
    "clip, idle": (clipping(1e6), optax.clip_by_global_norm(1e6)),
}


def gradients(step: int):
    """Gradients with entries that have been zero so far."""
    key = jax.random.fold_in(jax.random.key(0), step)
    return {"w": jax.random.normal(key, (5, 3)).at[2].set(0.0), "b": jnp.zeros(4).at[step].set(1.0)}


@pytest.mark.parametrize("name", PAIRS)
def test_forward_equals_optax(name):
    ours, theirs = PAIRS[name]
    our_state, their_state = ours.init(gradients(0)), theirs.init(gradients(0))
    for step in range(3):
        our_direction, our_state = ours.update(gradients(step), our_state)
        their_direction, their_state = theirs.update(gradients(step), their_state)
        assert_close(our_direction, their_direction, rounding=4)


@pytest.mark.parametrize("name", PAIRS)
def test_derivative_is_finite_at_zero_gradient(name):
    tx, stock = PAIRS[name]
    zero = jax.tree.map(jnp.zeros_like, gradients(0))

    def total(tx, gradient):
        direction, _ = tx.update(gradient, tx.init(gradient))
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(direction))

    finite = [np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(total, 1)(tx, zero))]
    assert all(finite)
    if name != "clip, idle":
        stock_slope = jax.tree.leaves(jax.grad(total, 1)(stock, zero))
        assert not all(np.isfinite(leaf).all() for leaf in stock_slope), "the guard is needed"


def test_derivative_at_zero_is_the_limit_of_central_differences():
    """First Adam step: u(g) = g / (|g| + ε) has slope 1/ε at zero; seen with a large ε."""
    tx = scale_by_adam(eps=0.5)
    slope = jax.grad(lambda g: tx.update(g, tx.init(g))[0])(0.0)
    up, down = (float(jnp.asarray(tx.update(g, tx.init(g))[0])) for g in (1e-3, -1e-3))
    np.testing.assert_allclose(slope, (up - down) / 2e-3, rtol=5e-3)
    np.testing.assert_allclose(slope, 1 / 0.5, rtol=1e-5)


def test_safe_sqrt_is_sqrt():
    x = jnp.array([0.0, 1e-30, 2.0])
    np.testing.assert_array_equal(safe_sqrt(x), jnp.sqrt(x))
    np.testing.assert_array_equal(jax.vmap(jax.grad(safe_sqrt))(x)[0], 0.0)


def test_unknown_optimiser_is_refused():
    with pytest.raises(
        UsageError, match="'lion' is unknown; allowed: adam, sgd, momentum, rmsprop"
    ):
        inner_optimiser("lion")


@pytest.mark.parametrize(
    ("name", "constants", "stock"),
    [
        ("momentum", {"b1": 0.5}, optax.trace(0.5)),
        ("rmsprop", {"b2": 0.7, "eps": 1e-2}, optax.scale_by_rms(0.7, 1e-2)),
        ("rmsprop", {"b2": None}, optax.scale_by_rms()),
        ("sgd", {}, optax.identity()),
    ],
)
def test_constants_are_optax_s(name, constants, stock):
    ours = inner_optimiser(name, **constants)
    our_state, their_state = ours.init(gradients(0)), stock.init(gradients(0))
    for step in range(3):
        our_direction, our_state = ours.update(gradients(step), our_state)
        their_direction, their_state = stock.update(gradients(step), their_state)
        assert_close(our_direction, their_direction, rounding=1)


def test_a_constant_that_the_optimiser_does_not_have_is_refused():
    with pytest.raises(UsageError, match=r"learning\.b1: sgd has no such constant; .* none"):
        inner_optimiser("sgd", b1=0.9)
    with pytest.raises(UsageError, match=r"rmsprop has no .* learning\.b2, learning\.eps"):
        inner_optimiser("rmsprop", b1=0.9)
