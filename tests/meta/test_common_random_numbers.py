"""What is promised to the last bit, in programs compiled as users compile them."""

import jax
import numpy as np
import pytest

from hessdiag.inner import COUNTERFACTUALS
from hessdiag.meta import Estimator, meta_step, unroll
from tests.meta.conftest import N, make_case


@pytest.fixture(scope="module")
def optimised() -> bool:
    """Cheaper compilation rounds one function differently in different programs."""
    return True


@pytest.fixture(scope="module")
def adam():
    with jax.enable_x64(True):
        yield make_case("mrp")


@pytest.fixture(scope="module")
def sgd():
    with jax.enable_x64(True):
        yield make_case("mrp", "sgd")


@pytest.fixture(scope="module")
def full(adam):
    """The step under Adam that cuts nothing."""
    return step(adam, Estimator("n-step", N))


def test_shorter_unrolls_are_the_beginnings_of_longer_ones(adam, sgd):
    """Common random numbers across horizons."""
    for case in (adam, sgd):
        short = unroll(case.update, case.start, case.key, n=1)
        np.testing.assert_array_equal(short.trajectories[0], case.points.trajectories[0])
        np.testing.assert_array_equal(short.validation[0], case.points.validation[0])


@pytest.mark.parametrize("name", [name for name in COUNTERFACTUALS if name != "full"])
def test_cuts_leave_the_forward_pass_alone(adam, full, name):
    """Everything but the meta-gradient is the same to the last bit."""
    cut = step(adam, Estimator("n-step", N, paths=COUNTERFACTUALS[name]))
    assert_differs_in_its_meta_gradient_alone(cut, full)


def test_cuts_leave_the_forward_pass_alone_under_sgd(sgd):
    full = step(sgd, Estimator("n-step", N))
    for name in ("neither", "stable-hessian"):
        cut = step(sgd, Estimator("n-step", N, paths=COUNTERFACTUALS[name]))
        assert_differs_in_its_meta_gradient_alone(cut, full)


def test_mixing_leaves_the_forward_pass_alone(adam, full):
    assert_differs_in_its_meta_gradient_alone(step(adam, Estimator("mix", N)), full)


def step(case, estimator):
    made = jax.jit(lambda start, key: meta_step(estimator, case.update, start, key))
    return made(case.start, case.key)


def assert_differs_in_its_meta_gradient_alone(actual, expected):
    assert np.any(actual.meta_gradient != expected.meta_gradient)
    same = (actual._replace(meta_gradient=0), expected._replace(meta_gradient=0))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.all(a == b)), *same))
