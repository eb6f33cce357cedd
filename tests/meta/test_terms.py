"""The terms of eq. 11 and the counterfactuals, against autodiff and dense matrices."""

from dataclasses import replace
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hessdiag.inner import CUTS, STABLE, Cut
from hessdiag.meta import Validation, adjoint_meta_gradient, sources, terms
from hessdiag.meta.horizons import forward_meta_gradients
from hessdiag.statistics.mixing import mix_weights
from tests.meta.conftest import ALPHA, N, shared_case
from tests.oracles.eq11_terms import DenseUnroll
from tests.oracles.meta_gradient import fed, replayed_outer_loss
from tests.tolerance import assert_close

HORIZONS = (1, 3)
INTERVALS = (STABLE, (-5e-3, 1.0))  # the other: none but the largest positive curvature
EVERYTHING = dict(CUTS) | {"a trace of one": Cut(trace=1.0)}


@pytest.fixture(scope="module")
def adam_dense(adam_mrp):
    return DenseUnroll(adam_mrp)


@pytest.fixture(scope="module")
def adam_terms(adam_mrp):
    return decomposed(adam_mrp)


@pytest.fixture(scope="module", params=["adam", "momentum", "rmsprop", "sgd"])
def mrp_case(request, adam_mrp):
    return adam_mrp if request.param == "adam" else shared_case("mrp", request.param)


@pytest.fixture(scope="module")
def dense(mrp_case, adam_mrp, adam_dense):
    return adam_dense if mrp_case is adam_mrp else DenseUnroll(mrp_case)


@pytest.fixture(scope="module")
def made(mrp_case, adam_mrp, adam_terms):
    """Everything, at both horizons."""
    return adam_terms if mrp_case is adam_mrp else decomposed(mrp_case)


def decomposed(case, names=tuple(EVERYTHING), horizons=HORIZONS):
    cuts = [all_resolved(case, EVERYTHING[name]) for name in names]
    return jax.jit(
        lambda points: terms(
            case.system,
            case.start,
            points,
            horizons=horizons,
            cuts=cuts,
            key=jax.random.key(5),
        )
    )(case.points)


@pytest.mark.slow
def test_terms_of_snake_sum_to_plain_autodiff_without_adam():
    """Two steps where neither clipping nor Adam shapes terms, through optax's own momentum."""
    tx = optax.sgd(ALPHA, momentum=0.9)
    with jax.enable_x64(True):
        case = shared_case("snake", "momentum", clip=0.0, n=2)
        made = decomposed(case, ("full",), horizons=(1, 2))
        start = fed(tx, case.params, case.history)
        inner, outer = case.losses
        losses = [replayed_outer_loss(inner, outer, start, tx, horizon=i) for i in (1, 2)]
        slopes = jax.jit(lambda eta: [jax.grad(loss)(eta) for loss in losses])(case.eta)
        assert_close(made.contributions[0].sum(axis=1), jnp.stack(slopes))


def test_terms_sum_to_the_meta_gradient_under_every_optimiser(mrp_case, made):
    """As the forward sweep has it."""
    system, drawn = mrp_case.system, sources(mrp_case.key, N)
    forward = jax.jit(
        lambda start: forward_meta_gradients(system, start, drawn, Validation(), ())[:, 0]
    )(mrp_case.start)
    assert_close(made.contributions[0].sum(axis=1), forward[np.array(HORIZONS) - 1], rounding=1e5)


def test_every_term_and_every_cut_equals_dense_matrices(dense, made):
    for p, cut in enumerate(EVERYTHING.values()):
        for h, horizon in enumerate(HORIZONS):
            expected = dense.terms(horizon, cut)
            actual = np.asarray(made.contributions[p, h])
            scale = np.abs(expected).max()
            np.testing.assert_allclose(actual[:horizon], expected, rtol=1e-8, atol=1e-9 * scale)
            assert not actual[horizon:].any()


def test_norms_bound_every_term(dense, made):
    """|term| ≤ reach · |∂g/∂η_k|, with equality only where the two are aligned."""
    bound = made.reach[..., None] * made.mixed[None, None]
    assert np.all(np.abs(made.contributions) <= bound * (1 + 1e-12))
    outer = [np.linalg.norm(dense.outer_gradient(h)) for h in HORIZONS]
    assert_close(made.outer, np.array(outer))


def test_reach_is_the_norm_of_what_the_outer_gradient_reads(dense, made):
    for p, cut in enumerate(EVERYTHING.values()):
        for h, horizon in enumerate(HORIZONS):
            expected = np.linalg.norm(dense.rows(horizon, cut), axis=1)
            np.testing.assert_allclose(made.reach[p, h, :horizon], expected, rtol=1e-8)
            assert not made.reach[p, h, horizon:].any()


def test_cuts_matter(mrp_case, made):
    """Each cut changes the meta-gradient where its path exists, and nothing where it does not."""
    sums = made.contributions[:, -1].sum(axis=1)
    full = sums[0]
    has_memory = bool(jax.tree.leaves(mrp_case.state.opt_state))
    for name, cut in zip(EVERYTHING, sums, strict=True):
        apart = np.abs(cut - full).max() / np.abs(full).max()
        if name in ("no-hessian", "neither", "trace"):
            assert apart > 1e-9, name
        if name in ("no-memory", "as-sgd") and not has_memory:
            assert apart < 1e-12, name
    by_name = dict(zip(EVERYTHING, sums, strict=True))
    state = mrp_case.state.opt_state[0]
    for name, fields in (("no-first-moment", ("mu", "trace")), ("no-second-moment", ("nu",))):
        moved = np.abs(by_name[name] - full).max() / np.abs(full).max()
        assert (moved > 1e-9) == any(hasattr(state, field) for field in fields), name


def test_bounds_without_a_key_are_refused(adam_mrp):
    case = adam_mrp
    with pytest.raises(ValueError, match="need a key"):
        adjoint_meta_gradient(
            case.system, case.start, case.points, cut=EVERYTHING["stable-hessian"]
        )


@pytest.mark.parametrize("name", ["no-hessian", "no-memory", "trace", "as-sgd"])
def test_training_takes_the_same_meta_gradient(adam_mrp, adam_terms, name):
    """The single reverse sweep of training against the shared one of studies."""
    expected = adam_terms.contributions[list(EVERYTHING).index(name), -1].sum(axis=0)
    assert_close(trained(adam_mrp, EVERYTHING[name]), expected)


@pytest.mark.parametrize("name", ["no-memory", "stable-hessian"])
def test_mixes_follow_cuts(adam_mrp, adam_dense, name):
    cut, weights = all_resolved(adam_mrp, EVERYTHING[name]), mix_weights(N)
    rows = [adam_dense.terms(horizon, cut).sum(axis=0) for horizon in range(1, N + 1)]
    expected = weights @ np.stack(rows)
    actual = trained(adam_mrp, cut, weights)
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_training_leaves_out_what_lies_outside_the_interval(adam_mrp, adam_dense):
    """Eigenpairs of either sign, as the interval says."""
    made = []
    for inside in INTERVALS:
        cut = all_resolved(adam_mrp, Cut(inside=inside))
        made.append(trained(adam_mrp, cut))
        expected = adam_dense.terms(N, cut).sum(axis=0)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(made[-1], expected, rtol=1e-8, atol=1e-9 * scale)
    for one, other in combinations([*made, adam_dense.terms(N, Cut()).sum(axis=0)], 2):
        assert np.abs(one - other).max() > 1e-6 * np.abs(other).max()


def all_resolved(case, cut):
    """With as many products as there are parameters: eigenpairs to rounding."""
    size = sum(leaf.size for leaf in jax.tree.leaves(case.state.params))
    return replace(cut, matvecs=size)


def trained(case, cut, weights=None):
    """The meta-gradient that training takes."""
    weights = None if weights is None else jnp.asarray(weights)
    key = jax.random.key(5)
    return jax.jit(
        lambda at: adjoint_meta_gradient(case.system, case.start, at, weights, cut=cut, key=key)
    )(case.points)
