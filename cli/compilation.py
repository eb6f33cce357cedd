"""The persistent compilation cache: a second start of the same command compiles nothing."""

import os
from pathlib import Path


def use_persistent_cache() -> None:
    """Point JAX at a cache in the user's cache folder, unless the environment names one."""
    import jax

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    default = Path(home) / "hessdiag" / "xla"
    jax.config.update(
        "jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR", str(default))
    )
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
