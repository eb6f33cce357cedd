"""The derivative that remembers less, against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.spectra import linearise


def masked(x):
    """Gradient of a loss with every kind of mask; each leaves zeros in JAX's own linearisation."""

    def loss(x):
        bent = jax.nn.relu(jnp.sin(x)) + jnp.maximum(x, x[::-1]) + jnp.where(x > 0.3, x**3, x)
        return jnp.sum(jnp.cumsum(bent) ** 3) + jnp.max(x)

    return jax.grad(loss)(x)


def test_values_and_products_are_those_of_jax():
    at, v = jax.random.normal(jax.random.key(0), (2, 40))
    value, product = linearise(masked, at)
    expected_value, expected_product = jax.linearize(masked, at)
    np.testing.assert_allclose(value, expected_value, rtol=1e-5)
    np.testing.assert_allclose(product(v), expected_product(v), rtol=1e-4, atol=1e-5)


def test_the_product_has_a_transpose():
    at, u, v = jax.random.normal(jax.random.key(1), (3, 40))
    _, product = linearise(lambda x: jnp.where(x > 0, jnp.sin(x), 0.1) * jnp.sum(x**2), at)
    (back,) = jax.linear_transpose(product, at)(u)
    np.testing.assert_allclose(back @ v, u @ product(v), rtol=1e-4)


def test_no_constant_is_remembered():
    at = jax.random.normal(jax.random.key(2), (40,))

    def constants(product):
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(product) if np.ndim(leaf)]
        return [leaf for leaf in leaves if leaf.size == at.size and (leaf == leaf[0]).all()]

    assert constants(jax.linearize(masked, at)[1])
    assert not constants(linearise(masked, at)[1])


def test_several_arguments_and_pytrees():
    at = {"a": jnp.arange(3.0)}, jnp.ones(2)
    value, product = linearise(lambda tree, b: {"c": tree["a"] * jnp.prod(b)}, *at)
    assert jax.tree.structure(value) == jax.tree.structure({"c": 0})
    np.testing.assert_allclose(product(*at)["c"], 3 * jnp.arange(3.0))


def test_what_is_recomputed_stays_recomputed():
    @jax.checkpoint
    def wave(x):
        return jnp.sin(jnp.sin(jnp.sin(x)))

    at = jax.random.normal(jax.random.key(3), (40,))
    gradient = jax.grad(lambda x: jnp.sum(jax.jit(wave)(x)))
    _, product = linearise(gradient, at)
    assert sum(np.size(leaf) == at.size for leaf in jax.tree.leaves(product)) <= 2
