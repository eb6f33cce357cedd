"""Whether the compiler can be trusted: small programs, compared with NumPy once per compiler.

They run in a process of their own, since a wrong compiler may crash. What passed is remembered in
the user's cache.
"""

import contextlib
import functools
import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hessdiag.errors import CompilerError
from hessdiag.record.atomic import write_atomically
from hessdiag.train.self_test_programs import Program

PROGRAMS = "hessdiag.train.self_test_programs"
TOLERANCE = 1e-4  # relative to the largest entry; float32 leaves 1e-6
WITHOUT = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "JAX_COMPILATION_CACHE_DIR")


def user_cache() -> Path:
    """Hessdiag's folder in the user's cache, which need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hessdiag"


def require_sound_compiler(programs: str = PROGRAMS) -> dict[str, Any]:
    """Refuse a compiler that gets a small program wrong; about two seconds, the first time.

    The programs are `PROGRAMS` in the module of that name. Returned is what provenance keeps.

    Raises:
        CompilerError: a program came out wrong, or crashed.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    jaxlib, backend = version("jaxlib"), jax.default_backend()
    return dict(_passed(programs, jaxlib, backend, flags, user_cache()))


def set_up_compilation() -> None:
    """Keep programs in the user's cache, or where it is said; refuse a compiler that is wrong."""
    directory = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(user_cache() / "xla"))
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    require_sound_compiler()


@functools.cache
def _passed(programs: str, jaxlib: str, backend: str, flags: str, cache: Path) -> dict[str, Any]:
    compiler = {"jaxlib": jaxlib, "backend": backend, "XLA_FLAGS": flags}
    spec = find_spec(programs)
    source = Path(spec.origin).read_text() if spec and spec.origin else ""
    digest = hashlib.sha256(json.dumps([compiler, source]).encode()).hexdigest()[:16]
    file = cache / "self-test" / f"{digest}.json"
    with contextlib.suppress(OSError, ValueError):  # not there, or cut off: test again
        return json.loads(file.read_text())
    if backend in ("cpu", "gpu"):
        errors = _elsewhere(programs, backend)
    else:  # other devices have one user
        errors = dict(_run(programs, lambda _: None))
    wrong = {name: error for name, error in errors.items() if error}
    if wrong:
        raise CompilerError(_message(wrong, compiler))
    result = {"passed": True, "programs": list(errors), **compiler}
    with contextlib.suppress(OSError):  # else the next process tests again
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(result))
    return result


def _message(wrong: dict[str, str], compiler: dict[str, str]) -> str:
    said = "; ".join(f"{name}: {error}" for name, error in wrong.items())
    flags = f" with XLA_FLAGS={compiler['XLA_FLAGS']!r}" if compiler["XLA_FLAGS"] else ""
    without = "unset XLA_FLAGS, or " if flags else ""
    return (
        f"jaxlib {compiler['jaxlib']} compiles wrongly for {compiler['backend']}{flags} ({said}); "
        f"{without}install another jaxlib: pip install --upgrade jax jaxlib"
    )


def _elsewhere(programs: str, backend: str) -> dict[str, str]:
    """Errors by program, empty where there is none; from a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in WITHOUT}
    environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # this process may hold the memory
    if backend == "cpu":
        environment["JAX_PLATFORMS"] = "cpu"
    command = [sys.executable, "-m", __name__, programs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    errors = {event["ended"]: event["error"] for event in events if "ended" in event}
    code = done.returncode
    if code != 0:
        how = f"failed ({(done.stderr.strip().splitlines() or [f'exit code {code}'])[-1]})"
        if code < 0:
            how = f"crashed with {signal.Signals(-code).name}"
        begun = [event["begun"] for event in events if "begun" in event]
        errors |= {name: how for name in begun if name not in errors} or {"start": how}
    return errors


def _run(programs: str, begin: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Every program's name and error, two at a time: most of the time goes into compiling."""

    def check(program: Program) -> tuple[str, str]:
        begin(program.name)
        return program.name, _error(program)

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(check, importlib.import_module(programs).PROGRAMS)


def _error(program: Program) -> str:
    """What is wrong with what a program computes, or nothing."""
    operands = [
        operand.astype(np.float32 if operand.dtype.kind == "f" else np.int32)
        for operand in program.operands
    ]
    with jax.default_matmul_precision("highest"):
        computed = np.asarray(jax.jit(program.compute)(*operands), np.float64)
    expected = np.asarray(program.reference(*program.operands))
    off = np.abs(computed - expected)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
    if off[worst] <= TOLERANCE * np.abs(expected).max():
        return ""
    return f"{computed[worst]:.6g} instead of {expected[worst]:.6g}"


def _tell(**event: str) -> None:
    sys.stdout.write(json.dumps(event) + "\n")  # at once: two threads tell
    sys.stdout.flush()


if __name__ == "__main__":
    for name, error in _run(sys.argv[1], lambda name: _tell(begun=name)):
        _tell(ended=name, error=error)
