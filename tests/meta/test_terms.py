"""The terms of eq. 11 and the counterfactuals, against autodiff and dense matrices."""

import jax
import numpy as np
import pytest

from hessdiag.meta import (
    COUNTERFACTUALS,
    Paths,
    adjoint_meta_gradient,
    all_horizons,
    terms,
)
from tests.meta.conftest import N, make_case
from tests.oracles.eq11_terms import DenseUnroll
from tests.tolerance import assert_close

HORIZONS = (1, 3)
EVERYTHING = dict(COUNTERFACTUALS) | {"a trace of one": Paths(trace=1.0)}


@pytest.fixture(scope="module", params=["adam", "momentum", "sgd"])
def mrp_case(request):
    with jax.enable_x64(True):
        yield make_case("mrp", request.param)


@pytest.fixture(scope="module")
def adam_mrp():
    with jax.enable_x64(True):
        yield make_case("mrp")


@pytest.fixture(scope="module")
def made(mrp_case):
    """Everything, at both horizons."""
    return decomposed(mrp_case)


def decomposed(case, names=tuple(EVERYTHING), horizons=HORIZONS):
    size = sum(leaf.size for leaf in jax.tree.leaves(case.state.params))
    return jax.jit(
        lambda points: terms(
            case.update,
            case.eta,
            points,
            horizons=horizons,
            paths=[EVERYTHING[name] for name in names],
            key=jax.random.key(5),
            depth=size,
        )
    )(case.points)


def sweep(case):
    return all_horizons(case.update, case.state, case.eta, case.env_state, case.key, n=N)


def test_terms_sum_to_the_meta_gradient(adam_case):
    made = decomposed(adam_case, ("full",), horizons=(1, 2, 3))
    assert_close(made.contributions[0].sum(axis=1), jax.jit(lambda: sweep(adam_case))())


def test_every_term_and_every_cut_equals_dense_matrices(mrp_case, made):
    dense = DenseUnroll(mrp_case)
    for p, paths in enumerate(EVERYTHING.values()):
        for h, horizon in enumerate(HORIZONS):
            expected = dense.terms(horizon, paths)
            actual = np.asarray(made.contributions[p, h])
            scale = np.abs(expected).max()
            np.testing.assert_allclose(actual[:horizon], expected, rtol=1e-8, atol=1e-9 * scale)
            assert not actual[horizon:].any()


def test_norms_bound_every_term(mrp_case, made):
    """|term| ≤ reach · |∂g/∂η_k|, with equality only where the two are aligned."""
    bound = made.reach[..., None] * made.mixed[None, None]
    assert np.all(np.abs(made.contributions) <= bound * (1 + 1e-12))
    outer = [np.linalg.norm(DenseUnroll(mrp_case).outer_gradient(h)) for h in HORIZONS]
    assert_close(made.outer, np.array(outer))


def test_the_outer_gradient_alone_is_the_meta_gradient_at_the_first_horizon(made):
    assert_close(made.outer_alone[0], made.contributions[0, 0, 0])


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


def test_bounds_without_a_key_are_refused(adam_mrp):
    case = adam_mrp
    with pytest.raises(ValueError, match="need a key"):
        adjoint_meta_gradient(
            case.update, case.eta, case.points, paths=EVERYTHING["stable-hessian"]
        )


@pytest.mark.parametrize("name", ["no-hessian", "no-memory", "trace", "as-sgd"])
def test_training_takes_the_same_meta_gradient(adam_mrp, name):
    """The single reverse sweep of training against the shared one of studies."""
    case, paths = adam_mrp, EVERYTHING[name]
    sweep = jax.jit(lambda at: adjoint_meta_gradient(case.update, case.eta, at, paths=paths))
    expected = decomposed(case, (name,), horizons=(N,)).contributions[0, 0].sum(axis=0)
    assert_close(sweep(case.points), expected)
