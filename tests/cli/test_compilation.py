import subprocess
import sys

from hessdiag.errors import CompilerError
from hessdiag.train.self_test import set_up_compilation
from tests.cli.arguments import TINY_RUN

COUNTING = """
import atexit, collections, sys
import jax
events = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: events.update([event]))
names = ("compile_requests_use_cache", "cache_hits", "cache_misses")
count = lambda: [events[f"/jax/compilation_cache/{name}"] for name in names]
atexit.register(lambda: print(*count(), file=sys.stderr))
from hessdiag.cli import drive  # pyright: ignore[reportMissingImports]
from hessdiag.cli.main import main  # pyright: ignore[reportMissingImports]
drive.write_report = lambda path: path  # figures take seconds and compile nothing
main()
"""


def _requests_hits_misses(*arguments: object) -> tuple[int, ...]:
    """Of the compiler, by a process that runs the command."""
    command = [sys.executable, "-c", COUNTING, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(int, done.stderr.split()))


def test_a_second_start_compiles_nothing(tmp_path):
    first, _, _ = _requests_hits_misses(*TINY_RUN, "--quiet", "--out", tmp_path / "first")
    second = _requests_hits_misses(*TINY_RUN, "--quiet", "--out", tmp_path / "second")
    assert second == (first, first, 0)
    assert first > 5


def test_where_the_cache_is(monkeypatch, tmp_path):
    chosen = {}
    monkeypatch.setattr("hessdiag.train.self_test.require_sound_compiler", dict)
    monkeypatch.setattr("jax.config.update", chosen.__setitem__)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    set_up_compilation()
    assert chosen["jax_compilation_cache_dir"] == str(tmp_path / "mine")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    set_up_compilation()
    assert chosen["jax_compilation_cache_dir"] == str(tmp_path / "hessdiag" / "xla")


def test_a_compiler_that_is_wrong_is_code_1_and_one_line(cli, monkeypatch, tmp_path):
    def refuse():
        raise CompilerError("jaxlib 0.10.2 compiles wrongly for cpu")

    monkeypatch.setattr("hessdiag.train.self_test.require_sound_compiler", refuse)
    for command in ("run", "study"):
        done = cli(command, "--env", "mrp", "--out", tmp_path / command)
        assert done == (1, "", "hessdiag: jaxlib 0.10.2 compiles wrongly for cpu\n")
    assert list(tmp_path.iterdir()) == []
