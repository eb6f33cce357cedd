"""Where compiled programs stay from one process to the next."""

import contextlib
from collections.abc import Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache

from hessdiag.train.self_test import user_cache

_OURS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextlib.contextmanager
def on_disk() -> Iterator[None]:
    """What compiles inside is kept in hessdiag's folder of the user's cache.

    Where the user keeps programs, `jax_compilation_cache_dir`, ours go there, by the user's rules;
    where `jax_enable_compilation_cache` is off, nowhere. No other program of the process is
    written: all settings are as they were afterwards.
    """
    config = jax.config
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        yield
        return
    settings = {"jax_compilation_cache_dir": str(user_cache() / "xla"), **_OURS}
    before = {name: getattr(config, name) for name in settings}
    _set(settings)
    try:
        yield
    finally:
        _set(before)


def _set(settings: dict) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # else the first folder that was used is used for good
