"""Shared by all tests: strict JAX settings, cheap compilation, double precision."""

import fcntl
import os
from collections.abc import Callable
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
def of_all_workers(tmp_path_factory) -> Path:
    """The folder of the session, which workers that test in parallel share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def made_once(of_all_workers) -> Callable[[str, Callable[[Path], object]], Path]:
    """(name, make) → a path that the first worker to ask for it has made."""

    def once(name: str, make: Callable[[Path], object]) -> Path:
        path, done = of_all_workers / name, of_all_workers / f"{name}.done"
        with (of_all_workers / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(path)
                done.touch()
        return path

    return once


@pytest.fixture(scope="session")
def recorded_run(made_once) -> Path:
    """The directory of a real run; tests must not change it."""
    from tests.oracles.recorded_run import record

    return made_once("recorded-run", record)


SLOW = ("slow", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: in parallel they would otherwise be waited for at the end."""
    slow = {item.path for item in items if any(map(item.get_closest_marker, SLOW))}
    items.sort(key=lambda item: item.path not in slow)
