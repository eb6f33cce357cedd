"""Roots of finite slope: the same values, and derivatives that differ at zero alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.inner import with_finite_roots

X = np.array([0.0, 0.3, 4.0], np.float32)
PLACES = {  # the same root by every way that a program can hold another program
    "plain": jnp.sqrt,
    "jit": jax.jit(jnp.sqrt),
    "cond": lambda x: jax.lax.cond(x[1] > 0, jnp.sqrt, jnp.abs, x),
    "scan": lambda x: jax.lax.scan(lambda *_: (jnp.sqrt(x), None), x, length=2)[0],
    "while": lambda x: jax.lax.while_loop(
        lambda at: at[0] < 1, lambda at: (at[0] + 1, jnp.sqrt(at[1])), (0, x)
    )[1],
    "remat": jax.checkpoint(jnp.sqrt),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_slope_is_zero_at_zero_and_the_roots_own_elsewhere(place):
    function = with_finite_roots(PLACES[place])
    value, tangent = jax.jit(lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),)))(X)
    np.testing.assert_array_equal(value, jnp.sqrt(X))
    usual = jax.jit(lambda x: jax.jvp(jnp.sqrt, (x,), (jnp.ones_like(x),)))(X)[1]
    assert np.isinf(usual[0])
    np.testing.assert_array_equal(tangent, usual.at[0].set(0))


def test_cube_roots_and_norms_in_any_pytree():
    def function(tree):
        return {"cube": jnp.cbrt(tree["x"]), "norm": jnp.linalg.norm(tree["x"][:1])}

    found = jax.jit(jax.jacrev(with_finite_roots(function)))({"x": X})
    cubic = 1 / (3 * np.cbrt(X[1:]) ** 2)
    np.testing.assert_allclose(found["cube"]["x"], np.diag([0, *cubic]), rtol=1e-6)
    np.testing.assert_array_equal(found["norm"]["x"], np.zeros(3))


def test_second_derivatives_are_finite_too():
    found = jax.jit(jax.hessian(lambda x: jnp.sum(with_finite_roots(jnp.sqrt)(x))))(X)
    np.testing.assert_allclose(found, np.diag([0, *(-(X[1:] ** -1.5) / 4)]), rtol=1e-6)


def test_what_the_function_closes_over_is_differentiated():
    found = jax.grad(lambda scale: jnp.sum(with_finite_roots(lambda x: scale * jnp.sqrt(x))(X)))(
        2.0
    )
    np.testing.assert_allclose(found, np.sum(np.sqrt(X)), rtol=1e-6)


def test_a_rule_of_its_own_is_kept():
    @jax.custom_jvp
    def function(x):
        return jnp.sqrt(x)

    function.defjvp(lambda primals, tangents: (function(*primals), 7 * tangents[0]))
    slopes = jax.grad(lambda x: jnp.sum(with_finite_roots(function)(x)))(X)
    np.testing.assert_array_equal(slopes, np.full(3, 7.0))
