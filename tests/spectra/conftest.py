import jax
import numpy as np
import pytest


@pytest.fixture(scope="module")
def optimised(request) -> bool:
    """The conformance suite holds for programs as users compile them; long runs need speed."""
    exact = ("test_gauntlet", "test_prescribed", "test_families")
    return request.module.__name__.endswith(exact)


@pytest.fixture(autouse=True)
def strict_jax():
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each dtype, with x64 enabled only where it is needed."""
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)
