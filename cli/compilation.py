"""What comes before anything is compiled."""

import os


def set_up_compilation() -> None:
    """Refuse a compiler that is wrong; keep programs in the user's cache, or where it is said.

    Raises:
        CompilerError: see `require_sound_compiler`.
    """
    import jax

    from hessdiag.train.self_test import require_sound_compiler, user_cache

    default = str(user_cache() / "xla")
    directory = os.environ.get("JAX_COMPILATION_CACHE_DIR", default)
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    require_sound_compiler()
