"""Shared by all tests: strict JAX settings, and compiled things that many tests use."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: workers share the cores

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield
