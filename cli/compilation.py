"""Programs are compiled once, thanks to the persistent cache."""

import os
from pathlib import Path


def set_up_compilation() -> None:
    """Choose the cache, in the user's cache folder if the environment does not say otherwise."""
    import jax

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    default = Path(home) / "hessdiag" / "xla"
    jax.config.update(
        "jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR", str(default))
    )
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
