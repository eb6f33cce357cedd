"""The compiler's self-test: what fails is refused by name, what passed is not run again."""

from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import pytest

from hessdiag.errors import CompilerError
from hessdiag.train import self_test
from hessdiag.train.self_test import require_sound_compiler
from hessdiag.train.self_test_programs import PROGRAMS


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_the_installed_compiler_passes(tmp_path):
    result = require_sound_compiler()
    assert result["passed"]
    assert result["programs"] == [program.name for program in PROGRAMS]
    assert (result["jaxlib"], result["backend"]) == (version("jaxlib"), jax.default_backend())
    assert len(list((tmp_path / "hessdiag" / "self-test").iterdir())) == 1


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_large_and_says_what_numpy_says_without_a_compiler(program):
    """In double precision, operation by operation."""
    assert max(operand.size for operand in program.operands) > 32_768
    with jax.enable_x64(True), jax.disable_jit():
        computed = np.asarray(program.compute(*program.operands))
    expected = program.reference(*program.operands)
    np.testing.assert_allclose(computed, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_programs_that_come_out_wrong_are_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    for _ in range(2):  # nothing of it is remembered
        with pytest.raises(CompilerError) as raised:
            require_sound_compiler("tests.train.wrong_programs")
    message = str(raised.value)
    assert "wrong: 7 instead of" not in message
    assert "wrong: 6 instead of 7; not finite: nan instead of 0" in message
    assert "right" not in message
    for words in (version("jaxlib"), "unset XLA_FLAGS", "--xla_force_host", "pip install"):
        assert words in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_crash_is_an_error_by_name_as_well():
    with pytest.raises(CompilerError, match=r"\(crashes: crashed with SIGABRT\)"):
        require_sound_compiler("tests.train.crashing_programs")


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """The self-tests that are run, by their XLA_FLAGS; all pass."""
    ran = []

    def run(*_):
        ran.append(self_test.os.environ.get("XLA_FLAGS", ""))
        return {"products": ""}

    monkeypatch.setattr(self_test, "_elsewhere", run)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    return ran


def test_what_passed_is_not_run_again_even_by_another_process(runs):
    first = require_sound_compiler()
    assert require_sound_compiler() == first
    self_test._passed.cache_clear()
    assert require_sound_compiler() == first
    assert runs == [""]


def test_other_flags_other_programs_and_other_versions_are_tested_anew(runs, monkeypatch):
    require_sound_compiler()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert require_sound_compiler()["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=true"
    require_sound_compiler("tests.train.wrong_programs")
    monkeypatch.setattr(self_test, "version", lambda _: "99.0")
    assert require_sound_compiler()["jaxlib"] == "99.0"
    assert len(runs) == 4


def test_a_cache_that_is_cut_off_or_cannot_be_written_is_no_obstacle(runs, monkeypatch, tmp_path):
    require_sound_compiler()
    (file,) = (tmp_path / "hessdiag" / "self-test").iterdir()
    file.write_text("{")
    self_test._passed.cache_clear()
    assert require_sound_compiler()["passed"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert require_sound_compiler()["passed"]
    assert len(runs) == 3
