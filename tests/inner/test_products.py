"""Products of operators over inner steps against products of their dense matrices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.inner import product_over_steps
from hessdiag.inner.products import named_operator, step_at
from hessdiag.probes.inner_loop import gradient_path
from hessdiag.spectra import dense_matrix, transpose_defect
from tests.oracles.spectra import mlp_loss, mlp_problem
from tests.oracles.steps import inner_step

N, ALPHA = 4, 3e-2
NAMES = ("paper", "preconditioned", "update", "augmented", "semi-gradient")


@pytest.fixture(scope="module")
def optimised() -> bool:
    """In double precision, far from rounding."""
    return False


def made_steps(dtype):
    """Steps of Adam on moving inputs, stacked; the field of the semi-gradient is asymmetric."""
    params, inputs, labels = mlp_problem(dtype, sizes=(3, 4, 2))
    optimiser = optax.adam(ALPHA)

    def field(params, seen):
        gradient = jax.grad(mlp_loss)(params, seen, labels)
        return jax.tree.map(
            lambda g, p: g + jnp.roll(p.ravel(), 1).reshape(p.shape), gradient, params
        )

    def step(carry, seen):
        params, state = carry
        made = inner_step(
            lambda p: mlp_loss(p, seen, labels),
            optimiser,
            params,
            state,
            learning_rate=ALPHA,
            semi_gradient=lambda p: field(p, seen),
        )
        gradient = jax.grad(mlp_loss)(params, seen, labels)
        change, state = optimiser.update(gradient, state, params)
        return (optax.apply_updates(params, change), state), made

    batches = jnp.stack([inputs * (1 + 0.2 * j) for j in range(N)])
    return jax.jit(lambda: jax.lax.scan(step, (params, optimiser.init(params)), batches)[1])()


@pytest.fixture(scope="module")
def steps():
    """In double precision."""
    with jax.enable_x64(True):
        yield made_steps(np.float64)


@functools.partial(jax.jit, static_argnames="name")
def product_matrices(steps, first, *, name):
    """P - I, and its transpose by the transposed products: <P v, u> = <v, P' u> for all v and u."""
    product = product_over_steps(steps, first, name)
    shift = product.minus_identity
    assert shift is not None
    return dense_matrix(shift), dense_matrix(shift.T)


@functools.partial(jax.jit, static_argnames="name")
def factor(steps, j, *, name):
    return dense_matrix(named_operator(step_at(steps, j), name))


@pytest.mark.parametrize("name", NAMES)
def test_the_product_is_that_of_the_dense_matrices(steps, name):
    """Newest on the left, of every length; theta's block of the augmented one."""
    size = steps.params.size
    dense = [np.asarray(factor(steps, j, name=name)) for j in range(N)]
    assert len(dense[0]) == (3 * size if name == "augmented" else size)
    expected = np.eye(len(dense[0]))
    for first in reversed(range(N)):
        expected = expected @ dense[first]
        forward, backward = product_matrices(steps, first, name=name)
        shift = expected[:size, :size] - np.eye(size)
        atol = 1e-13 * np.abs(expected).max()
        np.testing.assert_allclose(forward, shift, rtol=0, atol=atol)
        np.testing.assert_allclose(backward, shift.T, rtol=0, atol=atol)


def test_the_order_of_the_factors_matters(steps):
    """Else the test above could not tell newest first from newest last."""
    dense = [np.asarray(factor(steps, j, name="update")) for j in range(N)]
    oldest_left, newest_left = (functools.reduce(np.matmul, each) for each in (dense, dense[::-1]))
    assert np.abs(newest_left - oldest_left).max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_the_product_of_one_step_is_its_operator(steps, name):
    size = steps.params.size
    forward, backward = product_matrices(steps, N - 1, name=name)
    shift = np.asarray(factor(steps, N - 1, name=name))[:size, :size] - np.eye(size)
    np.testing.assert_allclose(forward, shift, rtol=0, atol=1e-15)
    np.testing.assert_allclose(backward, shift.T, rtol=0, atol=1e-15)


def test_the_product_of_no_steps_is_the_identity(steps):
    forward, backward = product_matrices(steps, N, name="update")
    np.testing.assert_array_equal(forward, 0)
    np.testing.assert_array_equal(backward, 0)


@jax.jit
def path_matrices(steps, j):
    """G, its transpose by the transposed products, and both of the response to the gradient."""
    path, response = gradient_path(steps, j), step_at(steps, j).response
    return [dense_matrix(each) for each in (path, path.T, response, response.T)]


def test_the_path_of_a_gradient_is_that_of_the_dense_matrices(steps):
    """Adam's memory included: theta's rows of the augmented maps after the response to g."""
    size = steps.params.size
    after = np.eye(3 * size)[:size]
    for j in reversed(range(N)):
        forward, backward, response, transposed = path_matrices(steps, j)
        np.testing.assert_allclose(transposed, response.T, rtol=0, atol=1e-12)
        expected = after @ np.asarray(response)
        atol = 1e-13 * np.abs(expected).max()
        np.testing.assert_allclose(forward, expected, rtol=0, atol=atol)
        np.testing.assert_allclose(backward, expected.T, rtol=0, atol=atol)
        after = after @ np.asarray(factor(steps, j, name="augmented"))


def test_a_step_moves_by_its_hessian_through_the_response(steps):
    """The augmented operator is the identity of theta, the memory's decay, and response after H."""
    size = steps.params.size
    for j in range(N):
        through = np.asarray(path_matrices(steps, j)[2]) @ factor(steps, j, name="hessian")
        moved = (
            np.asarray(factor(steps, j, name="augmented"))[:, :size] - np.eye(3 * size)[:, :size]
        )
        np.testing.assert_allclose(moved, through, rtol=0, atol=1e-14 * np.abs(moved).max() + 1e-15)


@jax.jit
def adjoint_defects(steps):
    """Of P - I over all steps, for every operator and five keys."""
    keys = jax.random.split(jax.random.key(0), 5)
    shifts = [product_over_steps(steps, 0, name).minus_identity for name in NAMES]
    shifts = [shift for shift in shifts if shift is not None]
    assert len(shifts) == len(NAMES)
    return jnp.stack([jax.lax.map(lambda key, a=a: transpose_defect(a, key), keys) for a in shifts])


def test_products_forward_and_back_are_adjoint_in_single_precision():
    """<P v, u> = <v, P' u> for random u and v, to rounding: in double, the matrices above are."""
    with jax.enable_x64(False):
        defects = np.asarray(adjoint_defects(made_steps(np.float32)))
    assert defects.dtype == np.float32
    assert np.max(defects) < 10 * np.finfo(np.float32).eps
