"""What is promised to the last bit, in programs compiled as users compile them."""

import jax
import numpy as np
import pytest

from hessdiag.meta import COUNTERFACTUALS, Estimator, meta_step, unroll
from tests.meta.conftest import N, make_case


@pytest.fixture(scope="module")
def optimised() -> bool:
    """Cheaper compilation rounds one function differently in different programs."""
    return True


@pytest.fixture(scope="module", params=["adam", "sgd"])
def case(request):
    with jax.enable_x64(True):
        yield make_case("mrp", request.param)


def test_shorter_unrolls_are_the_beginnings_of_longer_ones(case):
    """Common random numbers across horizons."""
    short = unroll(case.update, case.state, case.eta, case.env_state, case.key, n=1)
    np.testing.assert_array_equal(short.trajectories[0], case.points.trajectories[0])
    np.testing.assert_array_equal(short.validation[0], case.points.validation[0])


def test_cuts_leave_the_forward_pass_alone(case):
    """Everything but the meta-gradient is the same to the last bit."""

    def step(paths):
        estimator = Estimator("n-step", N, paths=paths)
        at = (case.state, case.eta, case.env_state, case.key)
        return jax.jit(lambda *at: meta_step(estimator, case.update, *at))(*at)

    full = step(COUNTERFACTUALS["full"])
    for name in ("neither", "stable-hessian"):
        cut = step(COUNTERFACTUALS[name])
        assert np.any(cut.meta_gradient != full.meta_gradient), name
        same = (cut._replace(meta_gradient=0), full._replace(meta_gradient=0))
        assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.all(a == b)), *same)), name
