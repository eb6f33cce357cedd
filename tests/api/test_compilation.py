"""Where the library keeps compiled programs: in its own folder, or where the user does."""

import jax
import jax.numpy as jnp
import pytest

import hessdiag
from hessdiag.api import compilation

NAMES = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """As they are where nobody has chosen a folder; hessdiag's is in `tmp_path`."""
    monkeypatch.setattr(compilation, "user_cache", lambda: tmp_path / "ours")
    before = {name: getattr(jax.config, name) for name in NAMES}
    compilation._set({NAMES[0]: None, NAMES[1]: 1.0, NAMES[2]: 0})
    yield lambda: {name: getattr(jax.config, name) for name in NAMES}
    compilation._set(before)


def quartic(scale):
    return lambda p, b: scale * jnp.sum((p * b) ** 4)


def files(folder) -> set[str]:
    return {path.name for path in folder.rglob("jit_*")} if folder.exists() else set()


def test_programs_of_a_spectrum_are_kept_and_no_others(settings, tmp_path):
    before = settings()
    hessdiag.spectrum(quartic(1.25), jnp.ones(3), jnp.arange(3.0))
    assert settings() == before
    kept = files(tmp_path / "ours" / "xla")
    assert {name.split("-")[0] for name in kept} == {"jit_prepare", "jit_product"}
    jax.jit(lambda x: x * 1.375)(jnp.ones(5))  # the user's own
    assert files(tmp_path) == kept


def test_a_folder_that_the_user_chose_is_used_by_its_rules(settings, tmp_path):
    compilation._set({NAMES[0]: str(tmp_path / "mine")})
    hessdiag.spectrum(quartic(1.5), jnp.ones(3), jnp.arange(3.0))
    assert files(tmp_path) == set()  # quicker to compile than what is worth a file there
    compilation._set({NAMES[1]: 0.0})
    hessdiag.spectrum(quartic(1.625), jnp.ones(3), jnp.arange(3.0))
    assert files(tmp_path / "mine")
    assert files(tmp_path / "ours") == set()
    assert settings()[NAMES[0]] == str(tmp_path / "mine")


def test_no_folder_where_caches_are_off(settings, tmp_path):
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        hessdiag.spectrum(quartic(1.75), jnp.ones(3), jnp.arange(3.0))
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert files(tmp_path) == set()
    assert settings()[NAMES[0]] is None
