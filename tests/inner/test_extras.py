"""Optimisers that read the loss beside the gradient, against finite differences in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from hessdiag.errors import UsageError
from hessdiag.inner import OptaxUpdate, linearised_step
from hessdiag.inner.extras import reads
from hessdiag.spectra import dense_matrix, transpose_defect

READERS = {
    "polyak": optax.polyak_sgd(scaling=0.1),
    "plateau": optax.chain(optax.adam(1e-2), optax.contrib.reduce_on_plateau(accumulation_size=2)),
    "momo": optax.contrib.momo_adam(1e-1),
    "l-bfgs": optax.lbfgs(1e-2, linesearch=None),
    "lookahead": optax.lookahead(optax.adam(1e-2), 2, 0.5),
}
with jax.enable_x64(True):
    READERS["accumulated"] = optax.MultiSteps(
        optax.polyak_sgd(scaling=0.1), 2, accumulator_dtype=np.float64
    )
SEARCHES = (optax.lbfgs(), optax.chain(optax.sgd(0.1), optax.scale_by_backtracking_linesearch(4)))


@pytest.fixture(scope="module")
def optimised() -> bool:
    """In double precision, far from rounding."""
    return False


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["w"]) @ params["v"] - 1) ** 2)


def start(update):
    params = {"w": jnp.reshape(jnp.linspace(-1, 1, 6), (3, 2)), "v": jnp.array([0.5, -0.3])}
    batch = jax.random.normal(jax.random.key(0), (2, 8, 3))
    if update.optimiser is READERS["lookahead"]:
        params = optax.LookaheadParams.init_synced(params)
    state = update(update.init(params), batch[0])  # a step, so that there is a history
    return state, batch[1]


@pytest.mark.parametrize("name", READERS)
def test_the_update_is_optaxs_own_and_its_jacobian_that_of_finite_differences(name):
    with jax.enable_x64(True):
        update = OptaxUpdate(loss, READERS[name])
        state, batch = start(update)
        flat, unravel = ravel_pytree(state.params)

        @jax.jit
        def after(theta):
            return ravel_pytree(update(state._replace(params=unravel(theta)), batch).params)[0]

        h = 1e-6
        steps = h * np.eye(flat.size)
        moved = [(after(flat + each) - after(flat - each)) / (2 * h) for each in steps]
        truth = np.array(moved).T - np.eye(flat.size)

        @jax.jit
        def measured(state):
            step = linearised_step(update, state, batch)
            shift = step.update.minus_identity
            assert shift is not None
            return dense_matrix(shift), transpose_defect(step.augmented, jax.random.key(1))

        found, defect = measured(state)
        atol = 1e-6 * np.abs(truth).max() + 1e-9
        np.testing.assert_allclose(found, truth, rtol=0, atol=atol)
        assert defect < 1e-12


def test_the_values_are_those_of_optax_called_by_hand():
    with jax.enable_x64(True):
        for name in ("polyak", "plateau", "momo"):
            update = OptaxUpdate(loss, READERS[name])
            state, batch = start(update)
            value, gradient = jax.value_and_grad(loss)(state.params, batch)
            by_hand, _ = READERS[name].update(gradient, state.opt_state, state.params, value=value)
            expected = optax.apply_updates(state.params, by_hand)
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12),
                update(state, batch).params,
                expected,
            )


def test_only_what_is_read_is_computed():
    params = {"w": jnp.ones(2)}

    def read_by(optimiser):
        return reads(optimiser, params, optimiser.init(params), params)

    assert read_by(optax.adamw(1e-2)) == read_by(optax.MultiSteps(optax.adam(1e-2), 2)) == set()
    assert read_by(READERS["polyak"]) == read_by(READERS["plateau"]) == {"value"}
    assert read_by(optax.lbfgs()) == {"value", "grad", "value_fn"}


@pytest.mark.parametrize("narrow", [jnp.bfloat16, np.float16])
def test_a_memory_of_narrower_numbers_is_one_of_numbers_as_wide_as_the_parameters(narrow):
    update = OptaxUpdate(loss, optax.adam(1e-2, mu_dtype=narrow))
    state, batch = start(update)

    @jax.jit
    def products(state):
        step = linearised_step(update, state, batch)
        operator, v = step.augmented, jnp.ones(step.augmented.size)
        return operator.product(v), operator.T.product(v)

    for product in products(state):
        assert product.dtype == np.float32
        assert np.isfinite(product).all()


@pytest.mark.parametrize("number", range(len(SEARCHES)))
def test_line_searches_run_and_are_refused_where_derivatives_are_wanted(number):
    update = OptaxUpdate(loss, SEARCHES[number])
    state, batch = start(update)
    assert loss(update(state, batch).params, batch) < loss(state.params, batch)
    with pytest.raises(UsageError, match=r"^optimiser: .*value_fn.*; allowed: [^\n]*$"):
        linearised_step(update, state, batch)


def test_what_reads_something_else_is_refused():
    update = OptaxUpdate(loss, optax.contrib.sophia(1e-2))
    with pytest.raises(UsageError, match=r"^optimiser: .*obj_fn.*; allowed: .*value_fn"):
        start(update)
