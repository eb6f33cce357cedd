"""Inner optimisers are optax's, with derivatives where their gradients are exactly zero."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.errors import UsageError
from hessdiag.inner import annealing, clip_to_norm, inner_optimiser, with_finite_roots
from tests.tolerance import assert_close

RATE = 1e-2


def clipping(max_norm: float) -> optax.GradientTransformation:
    """Our clipping as optax would have it."""
    return optax.stateless(lambda gradient, _: clip_to_norm(max_norm)(gradient))


PAIRS = {
    "adam": (inner_optimiser("adam", RATE), optax.adam(RATE)),
    "adam, its constants set": (
        inner_optimiser("adam", RATE, b1=0.5, b2=0.8, eps=1e-3),
        optax.adam(RATE, 0.5, 0.8, 1e-3),
    ),
    "momentum": (inner_optimiser("momentum", RATE, b1=0.5), optax.sgd(RATE, 0.5)),
    "rmsprop": (
        inner_optimiser("rmsprop", RATE, b2=0.7, eps=1e-2),
        optax.chain(optax.scale_by_rms(0.7, 1e-2), optax.scale(-RATE)),
    ),
    "sgd": (inner_optimiser("sgd", RATE), optax.sgd(RATE)),
    "one of optax's by its place": (
        inner_optimiser("optax:adabelief", RATE),
        optax.adabelief(RATE),
    ),
    "clip, active": (clipping(0.5), optax.clip_by_global_norm(0.5)),
    "clip, idle": (clipping(1e6), optax.clip_by_global_norm(1e6)),
}
GUARDED = ("adam", "clip, active")


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
        assert_close(our_direction, their_direction, rounding=8)


@pytest.mark.parametrize("name", PAIRS)
def test_derivative_is_finite_at_zero_gradient(name):
    transformation, stock = PAIRS[name]
    zero = jax.tree.map(jnp.zeros_like, gradients(0))

    def slope(update, state):
        def total(gradient):
            direction, _ = update(gradient, state, gradient)
            return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(direction))

        return jax.tree.leaves(jax.grad(total)(zero))

    ours = slope(with_finite_roots(transformation.update), transformation.init(zero))
    assert all(np.isfinite(leaf).all() for leaf in ours)
    if name in GUARDED:
        theirs = slope(stock.update, stock.init(zero))
        assert not all(np.isfinite(leaf).all() for leaf in theirs), "the guard is needed"


def test_derivative_at_zero_is_the_limit_of_central_differences():
    """First Adam step: u(g) = −α g / (|g| + ε) has slope −α/ε at zero; seen with a large ε."""
    adam = inner_optimiser("adam", RATE, eps=0.5)
    update = with_finite_roots(lambda g: adam.update(g, adam.init(g))[0])
    slope = jax.grad(update)(0.0)
    up, down = (float(jnp.asarray(adam.update(g, adam.init(g))[0])) for g in (1e-3, -1e-3))
    np.testing.assert_allclose(slope, (up - down) / 2e-3, rtol=5e-3)
    np.testing.assert_allclose(slope, -RATE / 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "constants", "message"),
    [
        ("lion", {}, "'lion' is unknown; allowed: adam, sgd, momentum, rmsprop, or module"),
        ("sgd", {"b1": 0.9}, r"learning\.b1: sgd has no such constant; .* none"),
        ("rmsprop", {"b1": 0.9}, r"rmsprop has no .* learning\.b2, learning\.eps"),
        ("adam", {"b2": 1.0}, r"learning\.b2: 1.0 is not allowed; allowed: 0 to below 1"),
        ("optax:no_such", {}, "'optax:no_such' could not be imported"),
        ("builtins:str", {}, "'builtins:str' gave a str"),
        ("math:log", {}, "'math:log' failed"),
    ],
)
def test_what_is_no_optimiser_is_refused(name, constants, message):
    with pytest.raises(UsageError, match=message):
        inner_optimiser(name, optax.constant_schedule(RATE), **constants)


@pytest.mark.parametrize("updates", [7, 60])
def test_a_rate_that_is_annealed_ends_at_zero_and_not_below(updates):
    """Compiled, optax's own ends at −5e−11."""
    rate = jax.jit(annealing("linear", 1e-3, updates))
    assert float(rate(0)) == pytest.approx(1e-3)
    assert [float(rate(updates + more)) for more in (0, 1, 100)] == [0.0] * 3
