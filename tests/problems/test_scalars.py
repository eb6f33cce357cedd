import jax
import numpy as np
import pytest

from hessdiag import problems
from hessdiag.errors import UsageError
from hessdiag.problems import MetaParameter, hyper_parameters, initial_eta, with_transform

PARAMETERS = (
    MetaParameter("gamma", 0.99),
    MetaParameter("scale", -3.5, "identity"),
    MetaParameter("rate", 2e-3, "exp"),
    MetaParameter("weight", 0.3, "softplus"),
)


def test_start_values_come_back():
    hyper = hyper_parameters(PARAMETERS, initial_eta(PARAMETERS))
    assert list(hyper) == [parameter.name for parameter in PARAMETERS]
    starts = [parameter.start for parameter in PARAMETERS]
    np.testing.assert_allclose(list(hyper.values()), starts, rtol=1e-5)


def test_slopes():
    """Of the sigmoid ζ (1 − ζ); of the exponential ζ; of the softplus 1 − exp(−ζ)."""
    eta = initial_eta(PARAMETERS)
    jacobian = jax.jacobian(lambda e: list(hyper_parameters(PARAMETERS, e).values()))(eta)
    slopes = [0.99 * 0.01, 1.0, 2e-3, 1 - np.exp(-0.3)]
    np.testing.assert_allclose(jacobian, np.diag(slopes), rtol=1e-4)


def test_one_transform_can_be_put_on_all_meta_parameters():
    problem = with_transform(problems.make("mrp", {}), "identity")
    np.testing.assert_array_equal(problem.init_eta(jax.random.key(0)), 0.5)
    params, env_state = problem.start(None, jax.random.key(0))
    _, rewards = problem.rollout(params, None, env_state, jax.random.key(1))
    hyper = {f"gamma_{i}": jax.numpy.asarray(0.3) for i in range(10)}
    loss = problem.inner_loss(params, problem.hyper(jax.numpy.full(10, 0.3)), rewards)
    np.testing.assert_allclose(loss, problem.inner_loss(params, hyper, rewards), rtol=1e-6)


def test_a_transform_needs_named_scalars():
    with pytest.raises(UsageError, match=r"learning\.transform: 'exp' is not allowed"):
        with_transform(object(), "exp")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([MetaParameter("gamma", 0.5, "tanh")], "'tanh' is unknown; allowed: sigmoid, identity"),
        ([MetaParameter("gamma", 1.0)], "start of gamma: 1.0 is not allowed .* between 0 and 1"),
        ([MetaParameter("rate", 0.0, "exp")], "start of rate: 0.0 .* between 0 and inf"),
        ([MetaParameter("x", 0.5), MetaParameter("x", 0.4)], "'x' is there twice"),
    ],
)
def test_meta_parameters_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(UsageError, match=message):
        initial_eta(parameters)
