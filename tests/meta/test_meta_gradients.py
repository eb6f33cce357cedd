"""Every way to compute a meta-gradient against references that share no code with it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.meta import (
    ESTIMATORS,
    Options,
    Validation,
    adjoint_meta_gradient,
    all_horizons,
    sensitivity_norms,
    sources,
)
from hessdiag.meta.horizons import forward_meta_gradients
from hessdiag.statistics.mixing import mix_weights
from tests.meta.conftest import ALPHA, CLIP, N
from tests.oracles.meta_gradient import (
    central_differences,
    equation_11,
    fed,
    replayed_outer_loss,
)
from tests.tolerance import assert_close


@pytest.fixture(scope="module")
def reference(adam_case):
    """(N, m): the i-step meta-gradients by central differences through optax's own Adam."""
    case = adam_case
    tx = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(ALPHA))
    start = fed(tx, case.params, case.history)
    inner, outer = case.losses
    rows = []
    for horizon in range(1, N + 1):
        loss = jax.jit(replayed_outer_loss(inner, outer, start, tx, horizon=horizon))
        rows.append(central_differences(loss, np.asarray(case.eta)))
    return np.stack(rows)


def assert_near(actual, expected):
    """Agreement to the truncation and rounding error of central differences."""
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def test_the_case_has_dead_units_and_active_clipping(adam_case):
    case = adam_case
    gradient = case.update.gradient(
        case.state.params, case.eta, jax.tree.map(lambda leaf: leaf[0], case.seen.trajectories)
    )
    assert any(bool(jnp.any(leaf == 0)) for leaf in jax.tree.leaves(gradient))
    assert float(optax.tree.norm(gradient)) > CLIP


def test_forward_sensitivities_equal_central_differences(adam_case, reference):
    case = adam_case
    drawn = sources(case.key, N)
    sweep = jax.jit(
        lambda start: forward_meta_gradients(case.system, start, drawn, Validation(), ())
    )
    assert_near(sweep(case.start)[:, 0], reference)


def test_the_cheaper_sweep_equals_central_differences(adam_case, reference):
    """In reverse where η has more entries than there are steps, as here."""
    case = adam_case
    sweep = jax.jit(lambda start: all_horizons(case.system, start, case.key, n=N))
    assert_near(sweep(case.start), reference)


def test_sensitivity_norms_are_those_of_the_jacobians(adam_case):
    case = adam_case

    def unrolled(eta):
        state, seen = case.state, []
        for j in range(N):
            trajectories = jax.tree.map(lambda leaf, j=j: leaf[j], case.seen.trajectories)
            state = case.update.apply(state, case.update.gradient(state.params, eta, trajectories))
            seen.append(state.params)
        return seen

    jacobians = jax.jit(jax.jacfwd(unrolled))(case.eta)
    squares = [
        sum(np.sum(np.asarray(leaf).reshape(-1, case.eta.size) ** 2, axis=0) for leaf in leaves)
        for leaves in map(jax.tree.leaves, jacobians)
    ]
    drawn = sources(case.key, N)
    norms = jax.jit(lambda: sensitivity_norms(case.system, case.start, drawn))()
    np.testing.assert_allclose(norms, np.sqrt(np.asarray(squares)), rtol=1e-9)


@pytest.mark.parametrize(("n", "remat"), [(1, True), (2, False), (3, True), (3, False)])
def test_n_step_equals_central_differences(adam_case, reference, n, remat):
    estimator = ESTIMATORS["n-step"](Options(n=n, remat=remat))
    assert_near(estimate(adam_case, estimator), reference[n - 1])


@pytest.mark.parametrize(("kappa", "remat"), [(None, True), (0.0, False), (1.0, True)])
def test_mix_is_the_weighted_sum(adam_case, reference, kappa, remat):
    estimator = ESTIMATORS["mix"](Options(n=N, kappa=kappa, remat=remat))
    assert_near(estimate(adam_case, estimator), mix_weights(N, kappa) @ reference)


def test_equals_equation_11_under_sgd(sgd_case):
    """Bonnet et al. 2021, eq. 11: exact for plain SGD, term by term with dense Hessians."""
    case = sgd_case
    sweep = all_horizons(case.system, case.start, case.key, n=N)
    for horizon in range(1, N + 1):
        explicit = equation_11(case.system, case.eta, case.seen, horizon=horizon, alpha=ALPHA)
        assert_close(sweep[horizon - 1], explicit, rounding=1e5)
    assert_close(
        adjoint_meta_gradient(case.system, case.start, case.points), explicit, rounding=1e5
    )


def test_zero_steps_leave_the_hyper_parameters_alone(adam_case):
    case = adam_case
    made = one_step(case, ESTIMATORS["n-step"](Options(n=0)), case.key)
    np.testing.assert_array_equal(made.meta_gradient, np.zeros(case.eta.size))
    assert_close(made.state.params, jax.tree.map(lambda leaf: leaf[1], case.points.states).params)


def test_training_keeps_the_first_inner_update(adam_case):
    case = adam_case
    made = one_step(case, ESTIMATORS["n-step"](Options(n=N)), case.key)
    first = case.update(
        case.state, jax.tree.map(lambda leaf: leaf[0], case.seen.trajectories), case.eta
    )
    assert_close(made.state.params, first.params)


@pytest.mark.parametrize("chunk", [1, 2])
def test_monte_carlo_is_the_mean_of_single_estimates(sgd_case, chunk):
    """Bonnet et al. 2021, eq. 9; θ moves by the first batch alone (eq. 8)."""
    case = sgd_case
    single = ESTIMATORS["n-step"](Options(n=2))
    keys = [case.key, *(jax.random.fold_in(case.key, 2**31 + k) for k in range(2))]
    mean = np.mean([one_step(case, single, key).meta_gradient for key in keys], axis=0)
    averaged = one_step(case, ESTIMATORS["n-step"](Options(n=2, samples=3, chunk=chunk)), case.key)
    assert_close(averaged.meta_gradient, mean, rounding=1e4)
    assert_close(averaged.state.params, one_step(case, single, case.key).state.params)
    assert np.abs(mean - one_step(case, single, case.key).meta_gradient).max() > 0


def test_validation_is_independent_of_what_the_inner_updates_saw(sgd_case):
    trajectories, validation = sgd_case.seen.trajectories, sgd_case.seen.validation
    for inner in trajectories:
        for outer in validation:
            assert not np.array_equal(inner, outer)


def test_mix_weights_sum_to_one_and_follow_equation_10():
    """Bonnet et al. 2021, eq. 10."""
    for n in (1, 3, 5):
        kappa = 1 - 1 / n
        expected = [kappa ** (i - 1) * (1 - kappa) / (1 - kappa**n) for i in range(1, n + 1)]
        np.testing.assert_allclose(mix_weights(n), expected)
    np.testing.assert_allclose(mix_weights(4, 1.0), 0.25)
    np.testing.assert_allclose(mix_weights(3, 0.0), [1, 0, 0])


def estimate(case, estimator):
    """The meta-gradient of an estimator at a case."""
    return one_step(case, estimator, case.key).meta_gradient


def one_step(case, estimator, key):
    """A compiled meta step at a case."""
    return jax.jit(lambda key: estimator(case.system, case.start, key, ()))(key)
