"""One persistent compilation cache for all tiny runs of a test session, subprocesses included."""

import os

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache as jax_cache

_OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture(scope="package", autouse=True)
def compilation_cache(of_all_workers):
    directory = of_all_workers / "xla"
    directory.mkdir(exist_ok=True)
    before = {name: getattr(jax.config, name) for name in _OPTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "JAX_COMPILATION_CACHE_DIR", str(directory))
        for name, value in zip(_OPTIONS, (str(directory), 0.0, -1), strict=True):
            jax.config.update(name, value)
        jax_cache.reset_cache()
        yield directory
        for name, value in before.items():
            jax.config.update(name, value)
        jax_cache.reset_cache()
