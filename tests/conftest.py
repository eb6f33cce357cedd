"""Shared by all tests: strict JAX settings, and compiled things that many tests use."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: workers share the cores

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
# Compilation dominates, and programs run once or twice. Subprocesses, as the command line's and the
# examples', compile as users do.
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module", autouse=True)
def _drop_compiled_programs():
    """Thousands of loaded programs exhaust a process's memory maps."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield
