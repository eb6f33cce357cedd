"""What is promised to the last bit, in programs compiled as users compile them."""

import jax
import numpy as np
import pytest

from hessdiag.inner import CUTS
from hessdiag.meta import ESTIMATORS, Options
from tests.meta.conftest import N, make_case, unrolled


@pytest.fixture(scope="module")
def optimised() -> bool:
    """Cheaper compilation rounds one function differently in different programs."""
    return True


@pytest.fixture(scope="module")
def adam():
    """Made here: its programs, too, are compiled as users compile them."""
    with jax.enable_x64(True):
        yield make_case("mrp")


@pytest.fixture(scope="module")
def sgd():
    with jax.enable_x64(True):
        yield make_case("mrp", "sgd")


@pytest.fixture(scope="module")
def full(adam):
    """The step under Adam that cuts nothing."""
    return step(adam, ESTIMATORS["n-step"](Options(n=N)))


def test_shorter_unrolls_are_the_beginnings_of_longer_ones(adam, sgd):
    """Common random numbers across horizons."""
    for case in (adam, sgd):
        _, short = unrolled(case.system, case.start, case.key, 1)
        np.testing.assert_array_equal(short.trajectories[0], case.seen.trajectories[0])
        np.testing.assert_array_equal(short.validation[0], case.seen.validation[0])


@pytest.mark.parametrize("name", [name for name in CUTS if name != "full"])
def test_cuts_leave_the_forward_pass_alone(adam, full, name):
    """Everything but the meta-gradient is the same to the last bit."""
    cut = step(adam, ESTIMATORS["n-step"](Options(n=N, cut=CUTS[name])))
    assert_differs_in_its_meta_gradient_alone(cut, full)


def test_cuts_leave_the_forward_pass_alone_under_sgd(sgd):
    full = step(sgd, ESTIMATORS["n-step"](Options(n=N)))
    for name in ("neither", "stable-hessian"):
        cut = step(sgd, ESTIMATORS["n-step"](Options(n=N, cut=CUTS[name])))
        assert_differs_in_its_meta_gradient_alone(cut, full)


def test_mixing_leaves_the_forward_pass_alone(adam, full):
    assert_differs_in_its_meta_gradient_alone(step(adam, ESTIMATORS["mix"](Options(n=N))), full)


def step(case, estimator):
    made = jax.jit(lambda start, key: estimator(case.system, start, key, ()))
    return made(case.start, case.key)


def assert_differs_in_its_meta_gradient_alone(actual, expected):
    assert np.any(actual.meta_gradient != expected.meta_gradient)
    same = (actual._replace(meta_gradient=0), expected._replace(meta_gradient=0))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.all(a == b)), *same))
