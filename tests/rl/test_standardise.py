import jax
import jax.numpy as jnp
import numpy as np

from hessdiag.rl.standardise import standardised


def test_mean_zero_variance_one_and_a_scale_without_derivative(x64):
    del x64
    given = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, size=(4, 5)))
    expected = (given - given.mean()) / np.sqrt(given.var() + 1e-5)
    np.testing.assert_allclose(standardised(given), expected, rtol=1e-12)
    slope = jax.grad(lambda a: standardised(a)[1, 2])(given)
    alone = np.zeros((4, 5))
    alone[1, 2] = 1 / np.sqrt(given.var() + 1e-5)
    np.testing.assert_allclose(slope, alone, rtol=1e-12)


def test_weights_are_how_often_each_occurs(x64):
    del x64
    distinct, counts = jnp.array([1.0, -2.0, 5.0]), np.array([3, 1, 2])
    every = standardised(jnp.repeat(distinct, counts))
    np.testing.assert_allclose(
        np.repeat(standardised(distinct, jnp.asarray(counts / 6)), counts), every, rtol=1e-12
    )
