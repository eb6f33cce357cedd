"""Shared by all tests: strict JAX settings, cheap compilation, double precision."""

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: workers share the cores

# Compilation dominates, and most programs run once or twice: subprocesses inherit it.
CHEAP = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
BEFORE = dict(os.environ)
for name, value in CHEAP.items():
    os.environ.setdefault(name, value)

MOST_MAPS = 20_000  # thousands of loaded programs exhaust the 65,530 that Linux grants a process

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module")
def optimised() -> bool:
    """Whether a module's programs are compiled as users compile them; packages override it."""
    return False


@pytest.fixture(scope="module", autouse=True)
def _programs(optimised):
    """Modules share the programs that are compiled cheaply, as long as there is room for them.

    Fixtures of a whole package come before this one: they find what is put back here.
    """
    cheap = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1"
    otherwise = cheap and optimised
    if otherwise:
        jax.clear_caches()  # compiled cheaply, they would be taken for this module's
    jax.config.update("jax_disable_most_optimizations", cheap and not optimised)
    yield
    jax.config.update("jax_disable_most_optimizations", cheap)
    if otherwise or memory_maps() > MOST_MAPS:
        jax.clear_caches()


def memory_maps() -> int:
    """Maps that the process has, or more than allowed where the system does not say."""
    maps = Path("/proc/self/maps")
    return len(maps.read_text().splitlines()) if maps.exists() else MOST_MAPS + 1


@pytest.fixture
def users_environment() -> dict[str, str]:
    """The environment as it was, for subprocesses that are to compile as users do."""
    ours = {name for name in CHEAP if name not in BEFORE}
    return {name: value for name, value in os.environ.items() if name not in ours}


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def recorded_run(tmp_path_factory):
    """The directory of a real run; tests must not change it."""
    from tests.oracles.recorded_run import record

    return record(tmp_path_factory.mktemp("recorded") / "run")
