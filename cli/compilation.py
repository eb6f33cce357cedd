"""How programs are compiled: sooner on CPU, and once, thanks to the persistent cache."""

import os
from pathlib import Path

# On CPU XLA's fusion emitters make compilation longer, and these programs no faster
# (`python -m benchmarks.meta_gradient` with and without the flag in XLA_FLAGS).
_SOONER = "--xla_cpu_use_fusion_emitters=false"


def set_up_compilation() -> None:
    """Choose XLA's flags and the cache; to be called before anything is compiled.

    What the environment says of either has precedence. The cache is in the user's cache folder.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_use_fusion_emitters" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_SOONER}".strip()

    import jax

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    default = Path(home) / "hessdiag" / "xla"
    jax.config.update(
        "jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR", str(default))
    )
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
