import jax
import numpy as np
import pytest

from hessdiag.errors import UsageError
from hessdiag.meta import hyper_parameters, initial_eta
from hessdiag.problems import MetaParameter

PARAMETERS = (MetaParameter("gamma", 0.99), MetaParameter("scale", 3.5, "identity"))


def test_start_values_come_back():
    hyper = hyper_parameters(PARAMETERS, initial_eta(PARAMETERS))
    np.testing.assert_allclose([hyper["gamma"], hyper["scale"]], [0.99, 3.5], rtol=1e-6)


def test_sigmoid_slope():
    eta = initial_eta(PARAMETERS)
    slope = jax.grad(lambda e: hyper_parameters(PARAMETERS, e)["gamma"])(eta)
    np.testing.assert_allclose(slope, [0.99 * 0.01, 0.0], rtol=1e-5)


def test_unknown_transform_is_refused():
    with pytest.raises(UsageError, match="'tanh' is unknown; allowed: sigmoid, identity"):
        initial_eta([MetaParameter("gamma", 0.5, "tanh")])
