import jax
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.inner import InnerUpdate, annealing, inner_optimiser
from hessdiag.problems import MetaParameter, hyper_parameters, initial_eta

PARAMETERS = (MetaParameter("gamma", 0.99), MetaParameter("scale", 3.5, "identity"))


def test_start_values_come_back():
    hyper = hyper_parameters(PARAMETERS, initial_eta(PARAMETERS))
    np.testing.assert_allclose([hyper["gamma"], hyper["scale"]], [0.99, 3.5], rtol=1e-6)


def test_sigmoid_slope():
    eta = initial_eta(PARAMETERS)
    slope = jax.grad(lambda e: hyper_parameters(PARAMETERS, e)["gamma"])(eta)
    np.testing.assert_allclose(slope, [0.99 * 0.01, 0.0], rtol=1e-5)


def test_one_transform_can_be_put_on_all_meta_parameters():
    problem = problems.make("mrp", {})
    update = InnerUpdate(
        problem, inner_optimiser("sgd"), annealing("constant", 0.1, 1), transform="identity"
    )
    np.testing.assert_array_equal(initial_eta(update.meta_parameters), 0.5)
    params, env_state = problem.init(jax.random.key(0))
    _, rewards = problem.rollout(params, env_state, jax.random.key(1))
    hyper = {f"gamma_{i}": jax.numpy.asarray(0.3) for i in range(10)}
    eta = jax.numpy.full(10, 0.3)
    expected = problem.inner_loss(params, hyper, rewards)
    np.testing.assert_allclose(update.loss(params, eta, rewards), expected, rtol=1e-6)


def test_unknown_transform_is_refused():
    with pytest.raises(UsageError, match="'tanh' is unknown; allowed: sigmoid, identity"):
        initial_eta([MetaParameter("gamma", 0.5, "tanh")])
