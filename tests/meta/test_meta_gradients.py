"""Every way to compute a meta-gradient against references that share no code with it."""

import functools

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
    point,
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


@functools.cache
def differences(case):
    """(N, m): the i-step meta-gradients by central differences through optax's own Adam."""
    tx = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(ALPHA))
    start = fed(tx, case.params, case.history)
    inner, outer = case.losses
    losses = [replayed_outer_loss(inner, outer, start, tx, horizon=i + 1) for i in range(N)]
    together = jax.jit(lambda eta: jnp.stack([loss(eta) for loss in losses]))
    return central_differences(together, np.asarray(case.eta)).T


@pytest.fixture(scope="module")
def reference(adam_case):
    return differences(adam_case)


def assert_near(actual, expected):
    """Agreement to the truncation and rounding error of central differences."""
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def test_the_case_has_dead_units_and_active_clipping(adam_case):
    case = adam_case
    first = point(case.seen.trajectories, 0)
    gradient = jax.jit(case.update.gradient)(case.state.params, case.eta, first)
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


def test_sensitivity_norms_are_those_of_the_jacobians(adam_mrp):
    case = adam_mrp

    def unrolled(eta):
        state, seen = case.state, []
        for j in range(N):
            trajectories = point(case.seen.trajectories, j)
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


def test_n_step_equals_central_differences(adam_case, reference):
    """Training keeps the first inner update (eq. 5)."""
    case = adam_case
    step = stepping(case, ESTIMATORS["n-step"](Options(n=N)))(case.key)
    assert_near(step.meta_gradient, reference[N - 1])
    assert_close(step.state.params, point(case.points.states.params, 1))


@pytest.mark.parametrize(("n", "remat"), [(1, True), (2, False), (3, False)])
def test_shorter_horizons_and_stored_steps_equal_central_differences(adam_mrp, n, remat):
    step = stepping(adam_mrp, ESTIMATORS["n-step"](Options(n=n, remat=remat)))(adam_mrp.key)
    assert_near(step.meta_gradient, differences(adam_mrp)[n - 1])


def test_mix_is_the_weighted_sum(adam_case, reference):
    """On stored steps."""
    step = stepping(adam_case, ESTIMATORS["mix"](Options(n=N, remat=False)))(adam_case.key)
    assert_near(step.meta_gradient, mix_weights(N) @ reference)


@pytest.mark.parametrize("kappa", [0.0, 1.0])
def test_mix_at_the_ends_of_kappa(adam_mrp, kappa):
    step = stepping(adam_mrp, ESTIMATORS["mix"](Options(n=N, kappa=kappa)))(adam_mrp.key)
    assert_near(step.meta_gradient, mix_weights(N, kappa) @ differences(adam_mrp))


@pytest.mark.slow
def test_equals_equation_11_under_sgd(sgd_case):
    """Bonnet et al. 2021, eq. 11: exact for plain SGD, term by term with dense Hessians."""
    case = sgd_case
    sweep = jax.jit(lambda: all_horizons(case.system, case.start, case.key, n=N))()
    for horizon in range(1, N + 1):
        explicit = equation_11(case.system, case.eta, case.seen, horizon=horizon, alpha=ALPHA)
        assert_close(sweep[horizon - 1], explicit, rounding=1e5)
    adjoint = jax.jit(lambda at: adjoint_meta_gradient(case.system, case.start, at))(case.points)
    assert_close(adjoint, explicit, rounding=1e5)


def test_zero_steps_leave_the_hyper_parameters_alone(adam_mrp):
    case = adam_mrp
    step = stepping(case, ESTIMATORS["n-step"](Options(n=0)))(case.key)
    np.testing.assert_array_equal(step.meta_gradient, np.zeros(case.eta.size))
    assert_close(step.state.params, point(case.points.states.params, 1))


@pytest.fixture(scope="module")
def singles(sgd_case):
    """Three estimates of one sample each, from the keys of a Monte-Carlo one."""
    step = stepping(sgd_case, ESTIMATORS["n-step"](Options(n=2)))
    keys = [jax.random.fold_in(sgd_case.key, 2**31 + k) for k in range(2)]
    return [step(key) for key in (sgd_case.key, *keys)]


@pytest.mark.parametrize("chunk", [1, 2])
def test_monte_carlo_is_the_mean_of_single_estimates(sgd_case, singles, chunk):
    """Bonnet et al. 2021, eq. 9; θ moves by the first batch alone (eq. 8)."""
    estimator = ESTIMATORS["n-step"](Options(n=2, samples=3, chunk=chunk))
    averaged = stepping(sgd_case, estimator)(sgd_case.key)
    mean = np.mean([single.meta_gradient for single in singles], axis=0)
    assert_close(averaged.meta_gradient, mean)
    assert_close(averaged.state.params, singles[0].state.params)
    assert np.abs(mean - singles[0].meta_gradient).max() > 0


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


def stepping(case, estimator):
    """A compiled meta step at a case, of a key."""
    return jax.jit(lambda key: estimator(case.system, case.start, key, ()))
