import jax
import jax.numpy as jnp
import pytest

from hessdiag import problems
from hessdiag.rl.conv import (
    FORMS,
    conv_pool_products,
    conv_pool_tiles,
    conv_pool_winograd,
    conv_pool_xla,
)
from hessdiag.rl.networks import BoardActorCritic, count_parameters
from tests.oracles.networks import StockBoardActorCritic
from tests.tolerance import assert_close


def boards(rows, cols, num=6, seed=0):
    """Sparse binary maps, as Snake's: many windows tie, as they do there."""
    return jax.random.bernoulli(jax.random.key(seed), 0.1, (num, rows, cols, 5)).astype(float)


def warm_params(network, x):
    """Initial parameters with nonzero biases, so that empty windows are alive and tie."""
    params = network.init(jax.random.key(1), x)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noisy = [p + 0.1 * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, noisy)


def test_snake_network_has_the_papers_parameter_count():
    params, _ = jax.eval_shape(problems.make("snake", {}).start, None, jax.random.key(0))
    assert count_parameters(params) == 24_895


def derivatives(network, params, x):
    """Outputs, gradient of a loss, and a product of its Hessian."""

    def loss(params):
        logits, value = outputs = network.apply(params, x)
        return jnp.mean(jax.nn.log_softmax(logits) ** 2) + jnp.mean(value**2), outputs

    @jax.jit
    def all_of_them(params):
        return jax.jvp(jax.grad(loss, has_aux=True), (params,), (params,))

    return all_of_them(params)


@pytest.fixture(scope="module")
def stock():
    """Boards, parameters, and what flax makes of them."""
    x = boards(12, 12)
    params = jax.jit(lambda: warm_params(BoardActorCritic(actions=4), x))()
    return x, params, derivatives(StockBoardActorCritic(), params, x)


@pytest.mark.parametrize("form", FORMS)
def test_outputs_gradient_and_hessian_product_equal_flax(stock, form):
    x, params, expected = stock
    assert_close(derivatives(BoardActorCritic(actions=4, conv_form=form), params, x), expected)


@pytest.mark.parametrize("form", [conv_pool_tiles, conv_pool_winograd])
@pytest.mark.parametrize(("rows", "cols"), [(4, 4), (5, 7), (6, 9), (12, 12)])
def test_products_equal_xla_on_any_board(form, rows, cols):
    x = boards(rows, cols).transpose(1, 2, 0, 3)
    kernel = jax.random.normal(jax.random.key(3), (3, 3, 5, 8))
    bias = jax.random.normal(jax.random.key(4), (8,))
    assert_close(form(x, kernel, bias), conv_pool_xla(x, kernel, bias))


@pytest.mark.parametrize(
    ("side", "channels", "fewest"),
    [(12, 5, conv_pool_tiles), (6, 32, conv_pool_winograd), (40, 32, conv_pool_tiles)],
)
def test_the_form_that_multiplies_less_is_taken(side, channels, fewest):
    shapes = [(side, side, 2, channels), (3, 3, channels, 32), (32,)]

    def products(form):
        arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        return jax.make_jaxpr(form)(*arguments)

    assert str(products(conv_pool_products)) == str(products(fewest))
