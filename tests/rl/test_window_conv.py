"""Convolutions as products over windows are those of flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from hessdiag.rl.board_network import BoardNetwork
from hessdiag.rl.networks import count_parameters
from hessdiag.rl.window_conv import WindowConv


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("rows", "cols"), [(6, 6), (3, 3), (5, 4), (2, 7)])
def test_values_and_gradients_equal_flax(rows, cols, stride, x64):
    del x64
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, rows, cols, 3))
    weights = {"kernel": rng.normal(size=(2, 2, 3, 4)), "bias": rng.normal(size=4)}
    ours = WindowConv(4, stride, jnp.float64)
    stock = nn.Conv(4, (2, 2), strides=stride, padding="SAME", param_dtype=jnp.float64)

    def of(layer):
        def loss(weights, x):
            return jnp.sum(jnp.sin(jnp.asarray(layer.apply({"params": weights}, x))))

        return layer.apply({"params": weights}, x), jax.grad(loss, argnums=(0, 1))(weights, x)

    pairs = zip(jax.tree.leaves(of(ours)), jax.tree.leaves(of(stock)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("hidden", "outputs", "count"), [((64, 64), 4, 27_716), ((128,) * 2, 1, 58_433)]
)
def test_networks_have_the_published_parameter_counts(hidden, outputs, count):
    network, board = BoardNetwork(hidden, outputs), jnp.zeros((1, 6, 6, 5))
    params = network.init(jax.random.key(0), board)
    assert count_parameters(params) == count
    kernel = np.asarray(params["params"]["dense_0"]["kernel"])  # of 288 inputs
    assert np.abs(kernel).max() <= 2 / np.sqrt(288)
    assert abs(kernel.std() * np.sqrt(288) - 0.8796) < 0.02
